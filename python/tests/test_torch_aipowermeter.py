"""The model card of the stand-in for AIPowerMeter, with PyTorch itself."""

from prony.compat.aipowermeter import experiment, parsers
from support import Case


class Card(Case):
    def test_a_model_and_its_input_size_become_the_model_card(self):
        nn = self.library("torch").nn
        model = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.Flatten(), nn.Linear(4 * 8 * 8, 10))
        parser = parsers.JsonParser(self.path("output"))
        experiment.Experiment(parser, model=model, input_size=(2, 3, 8, 8), simulate="laptop")
        card = parser.get_model_card()
        self.assertEqual((card["total_params"], card["trainable_params"], card["input_size"]), (112 + 2570, 112 + 2570, [2, 3, 8, 8]))
        self.assertEqual(card["total_mult_adds"], 2 * (64 * 4 * 27 + 2560))
        with self.assertRaisesRegex(ValueError, "input_size"):
            experiment.Experiment(parser, model=model)
