"""What a live model computes, with PyTorch itself: known networks, figures worked out by hand, and torchinfo beside it."""

import json

import prony
from support import Case


def resnet18(torch):
    """He et al., "Deep Residual Learning for Image Recognition" (2015), table 1, 18 layers."""
    nn = torch.nn

    class Block(nn.Module):
        def __init__(self, before, after, stride):
            super().__init__()
            self.conv1 = nn.Conv2d(before, after, 3, stride, 1, bias=False)
            self.bn1, self.relu = nn.BatchNorm2d(after), nn.ReLU()
            self.conv2, self.bn2 = nn.Conv2d(after, after, 3, 1, 1, bias=False), nn.BatchNorm2d(after)
            self.short = nn.Sequential() if before == after and stride == 1 else nn.Sequential(
                nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after))

        def forward(self, x):
            return self.relu(self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x))))) + self.short(x))

    stages, before = [], 64
    for after, stride in ((64, 1), (128, 2), (256, 2), (512, 2)):
        stages += [Block(before, after, stride), Block(after, after, 1)]
        before = after
    return nn.Sequential(nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1), *stages,
                         nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 1000))


class Counts(Case):
    def setUp(self):
        super().setUp()
        self.torch = self.library("torch")
        import prony.complexity

    def test_resnet18_has_its_known_parameters_and_multiply_adds(self):
        found = prony.complexity.of(resnet18(self.torch), input_size=(1, 3, 224, 224))
        self.assertEqual((found.parameters, found.trainable_parameters), (11_689_512, 11_689_512))
        self.assertEqual(found.multiply_adds, 1_814_073_344)  # 1.81 G: convolutions and the last layer
        self.assertEqual((found.flop, found.parameter_bytes), (2 * found.multiply_adds, 4 * 11_689_512))
        first, last = next(x for x in found if x.name == "0"), next(x for x in found if x.type == "Linear")
        self.assertEqual(first.multiply_adds, 112 * 112 * 64 * 3 * 7 * 7)
        self.assertEqual((last.multiply_adds, last.output_shape), (512 * 1000, "1x1000"))
        self.assertEqual(found.layers[0].multiply_adds, found.multiply_adds)
        self.assertEqual(sum(x.multiply_adds for x in found if x.leaf), found.multiply_adds)
        self.assertEqual(found.uncounted, ())

    def test_torchinfo_tells_the_same_where_it_counts_the_same(self):
        torchinfo = self.library("torchinfo")
        model = resnet18(self.torch)
        theirs = torchinfo.summary(model, input_size=(2, 3, 224, 224), verbose=0)
        ours = prony.complexity.of(model, input_size=(2, 3, 224, 224))
        self.assertEqual((ours.parameters, ours.trainable_parameters), (theirs.total_params, theirs.trainable_params))
        # Theirs count normalisation and biases as multiply-adds too: one a parameter and image.
        small = sum(p.numel() for name, p in model.named_parameters() if p.dim() == 1)
        self.assertEqual(theirs.total_mult_adds - ours.multiply_adds, 2 * small)

    def test_activations_are_what_the_innermost_modules_put_out_and_torchinfo_doubles_it_for_gradients(self):
        nn = self.torch.nn
        model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Sequential(nn.Conv2d(8, 4, 1), nn.BatchNorm2d(4)))
        ours = prony.complexity.of(model, input_size=(1, 3, 10, 10))
        self.assertEqual(ours.activation_bytes, 4 * (8 * 64 + 4 * 64 + 4 * 64))
        theirs = self.library("torchinfo").summary(model, input_size=(1, 3, 10, 10), verbose=0)
        self.assertEqual(theirs.total_output_bytes, 2 * ours.activation_bytes)

    def test_sequences_groups_transposed_and_bare_products_are_counted(self):
        torch, nn = self.torch, self.torch.nn

        class Bare(nn.Module):
            def forward(self, x):
                return torch.einsum("bij,bjk->bik", x, x.transpose(1, 2)) @ torch.ones(5, 2)

        for model, size, expected in (
                (nn.Linear(16, 32), (2, 7, 16), 2 * 7 * 16 * 32),  # torchinfo 1.8.0 leaves out the 7
                (nn.Conv2d(8, 12, 3, groups=4, padding=1), (1, 8, 6, 6), 6 * 6 * 12 * 2 * 9),
                (nn.Conv1d(3, 5, 4, stride=2, dilation=2), (2, 3, 21), 2 * 8 * 5 * 3 * 4),
                (nn.ConvTranspose2d(6, 4, 3, stride=2, groups=2), (1, 6, 5, 5), 6 * 25 * 2 * 9),
                (Bare(), (2, 5, 3), 2 * 5 * 5 * 3 + 2 * 5 * 5 * 2)):
            with self.subTest(type(model).__name__):
                self.assertEqual(prony.complexity.of(model, input_size=size).multiply_adds, expected)

    def test_attention_is_counted_as_two_products_a_head_beside_its_projections(self):
        torch, nn = self.torch, self.torch.nn
        x, queries = torch.rand(2, 6, 16), torch.rand(2, 3, 16)
        projections, products = 4 * 2 * 6 * 16 * 16, 2 * 4 * 6 * 6 * (4 + 4)
        alone = nn.MultiheadAttention(16, 4, batch_first=True)
        self.assertEqual(prony.complexity.of(alone, x, x, x, need_weights=False).multiply_adds, projections + products)
        across = prony.complexity.of(alone, queries, x, x)
        self.assertEqual(across.multiply_adds, 2 * (3 * 2 + 6 * 2) * 16 * 16 + 2 * 4 * 3 * 6 * (4 + 4))
        layer = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True)
        found = prony.complexity.of(layer, input_size=(2, 6, 16))
        self.assertEqual((found.multiply_adds, found.uncounted), (projections + products + 2 * 2 * 6 * 16 * 32, ()))

    def test_recurrent_layers_are_counted_at_each_step(self):
        for kind, gates in (("LSTM", 4), ("GRU", 3), ("RNN", 1)):
            model = getattr(self.torch.nn, kind)(8, 16, num_layers=2, batch_first=True)
            found = prony.complexity.of(model, input_size=(2, 5, 8))
            self.assertEqual((kind, found.multiply_adds), (kind, 2 * 5 * gates * 16 * (8 + 16 + 16 + 16)))

    def test_an_operator_that_multiplies_and_has_no_formula_is_named(self):
        from prony.complexity import _Count

        count = _Count(self.torch.nn.Linear(1, 1))
        for name in ("some_new_fused_linear", "relu", "convolution_backward"):
            count.operator(name, (), None)
        self.assertEqual(list(count.uncounted), ["some_new_fused_linear"])

    def test_a_shared_module_is_counted_at_each_call_and_its_parameters_once(self):
        nn = self.torch.nn
        shared = nn.Linear(4, 4, bias=False)
        found = prony.complexity.of(nn.Sequential(shared, nn.Sequential(shared), nn.Linear(4, 1, bias=False)), input_size=(1, 4))
        self.assertEqual((found.parameters, found.multiply_adds), (16 + 4, 16 + 16 + 4))
        self.assertEqual([(x.name, x.multiply_adds) for x in found], [("", 36), ("0", 16), ("1", 16), ("1.0", 16), ("2", 4)])

    def test_the_model_is_as_it_was_and_on_meta_nothing_is_computed(self):
        torch, nn = self.torch, self.torch.nn
        model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Dropout()).train()
        model[0].eval()
        state, random = {k: v.clone() for k, v in model.state_dict().items()}, torch.random.get_rng_state()
        prony.complexity.of(model, input_size=(3, 4))
        self.assertEqual([m.training for m in model], [False, True, True])
        self.assertTrue(all(torch.equal(state[k], v) for k, v in model.state_dict().items()))
        self.assertTrue(torch.equal(random, torch.random.get_rng_state()))
        self.assertFalse(any(m._forward_hooks or m._forward_pre_hooks for m in model.modules()))
        big = nn.Linear(50_000, 50_000, bias=False, device="meta")  # 10 GB, were it real
        self.assertEqual(prony.complexity.of(big, input_size=(1, 50_000)).multiply_adds, 50_000 ** 2)

    def test_a_model_that_fails_leaves_no_hook_and_its_mode(self):
        nn = self.torch.nn
        model = nn.Sequential(nn.Linear(4, 4)).train()
        with self.assertRaises(RuntimeError):
            prony.complexity.of(model, input_size=(1, 5))
        self.assertTrue(model.training and model[0].training)
        self.assertFalse(model[0]._forward_hooks or model[0]._forward_pre_hooks)
        with self.assertRaisesRegex(ValueError, "input_size="):
            prony.complexity.of(model)
        with self.assertRaisesRegex(ValueError, "not both"):
            prony.complexity.of(model, self.torch.rand(1, 4), input_size=(1, 4))

    def test_half_precision_is_half_the_bytes_and_json_has_all_of_it(self):
        found = prony.complexity.of(self.torch.nn.Linear(8, 2, device="meta").half(), input_size=(1, 8))
        self.assertEqual((found.parameter_bytes, found.activation_bytes, found.input_bytes), (36, 4, 16))
        data = json.loads(json.dumps(found.to_dict()))
        self.assertEqual((data["multiply_adds"], data["flop"], data["layers"][0]["type"], data["inputs"]),
                         (16, 32, "Linear", ["1x8"]))
        self.assertIn("18 parameters", str(found))
