// Data sets and networks as text: what is read of them, what is flagged, what is refused.
#include "predict/dataset.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "base/sha256.hpp"
#include "predict/network_json.hpp"
#include "predict/what_if.hpp"
#include "simulated_device.hpp"

namespace prony::predict {
namespace {

TEST(PredictDataset, WhatIsWrittenIsReadAgainWithItsSums) {
  const Dataset dataset = measured_on(Device{}, 2, 0.05);
  const std::string csv = rows_csv(dataset);
  Dataset again, once_more;
  ASSERT_TRUE(read_rows(csv, "rows.csv", true, again));
  ASSERT_EQ(again.rows.size(), dataset.rows.size());
  EXPECT_EQ(again.rows[3].runtime_s, dataset.rows[3].runtime_s);
  EXPECT_EQ(again.rows[3].power_w, dataset.rows[3].energy_j / dataset.rows[3].runtime_s);
  ASSERT_TRUE(read_rows(rows_csv(again), "rows.csv", true, once_more));
  EXPECT_TRUE(rows_csv(once_more) == rows_csv(again));
  EXPECT_EQ(again.flagged(), 0U);
  const std::string manifest = dataset_manifest(dataset, {{"rows.csv", csv}});
  const auto files = files_of_manifest(manifest, again);
  ASSERT_TRUE(files) << files.error().what;
  EXPECT_EQ(files->at("rows.csv"), sha256_hex(csv));
  EXPECT_FALSE(files_of_manifest("{}", again));
  EXPECT_FALSE(files_of_manifest(R"({"format":"prony-layer-dataset","version":2,"files":{}})", again));
}

TEST(PredictDataset, MissingFiguresFollowFromTheShapes) {
  Dataset dataset;
  ASSERT_TRUE(
      read_rows("network,layer,kind,batch,in_0,in_1,in_2,out_0,out_1,out_2,kernel_0,kernel_1,groups,runtime_s\n"
                "a,conv,convolution,2,64,56,56,128,56,56,3,3,1,1e-3\na,depthwise,convolution,1,64,56,56,64,56,56,3,3,"
                "64,1e-3\na,fc,dense,1,512,1,1,1000,1,1,1,1,1,1e-3\n",
                "t", true, dataset));
  EXPECT_DOUBLE_EQ(dataset.rows[0].layer.macs, 2.0 * 128 * 56 * 56 * 64 * 9);
  EXPECT_DOUBLE_EQ(dataset.rows[0].layer.bytes_weights, 4.0 * 128 * 64 * 9);
  EXPECT_DOUBLE_EQ(dataset.rows[0].layer.bytes_read, 4.0 * 2 * 64 * 56 * 56);
  EXPECT_DOUBLE_EQ(dataset.rows[1].layer.macs, 64.0 * 56 * 56 * 9);
  EXPECT_DOUBLE_EQ(dataset.rows[2].layer.macs, 512000);
  EXPECT_DOUBLE_EQ(dataset.rows[2].layer.bytes_weights, 4 * 512000.0);
}

TEST(PredictDataset, OddRowsAreFlaggedAndBrokenOnesNamedByTheirLine) {
  const std::string head = "network,layer,kind,in_0,runtime_s\n";
  Dataset dataset;
  ASSERT_TRUE(read_rows(head + "a,x,dense,8,nan\na,y,dense,8,0\na,z,dense,8,-1\na,u,dense,NaN,1\na,v,dense,0,1\na,w,"
                               "dense,8,\n\"a\",\"w,\"\"\",dense,8,1\r\n",
                        "t", true, dataset));
  ASSERT_EQ(dataset.rows.size(), 7U);
  EXPECT_EQ(dataset.flagged(), 6U);
  Dataset absurd;
  ASSERT_TRUE(read_rows(head + "a,x,dense,8,1e30\na,y,dense,8,1e-30\na,z,dense,8,1\n", "t", true, absurd));
  EXPECT_EQ(absurd.flagged(), 2U);
  EXPECT_EQ(dataset.rows[6].layer.name, "w,\"");
  EXPECT_NE(dataset.rows[1].flag.find("no time"), std::string::npos);
  EXPECT_NE(dataset.rows[4].flag.find("in_0"), std::string::npos);
  EXPECT_EQ(read_rows(head + "a,x,dense,eight,1\n", "t", true, dataset).error().where, "t:2");
  EXPECT_EQ(read_rows(head + "a,x,dense,8\n", "t", true, dataset).error().where, "t:2");
  EXPECT_NE(read_rows("network,layer,kind\n", "t", true, dataset).error().what.find("runtime_s"), std::string::npos);
  EXPECT_FALSE(read_rows("", "t", true, dataset));
  EXPECT_FALSE(read_rows(head + "\"a,x,dense,8,1\n", "t", true, dataset));
}

TEST(EdgeProfiler, TrainingFilesAreReadInTheirUnitsAndWrongPoolingWindowsAreTold) {
  Dataset dataset;
  ASSERT_TRUE(
      read_edgeprofiler("batch_size,input_size,output_size,power,runtime,layer_name\n2,1024,2000,5000000,0.5,fc\n",
                        "dense", "net", "dense.csv", dataset));
  EXPECT_DOUBLE_EQ(dataset.rows[0].power_w, 5);
  EXPECT_DOUBLE_EQ(dataset.rows[0].runtime_s, 0.5e-3);
  EXPECT_DOUBLE_EQ(dataset.rows[0].energy_j, 2.5e-3);
  EXPECT_DOUBLE_EQ(dataset.rows[0].layer.in[0], 512);
  ASSERT_TRUE(read_edgeprofiler(
      "batch_size,input_size_0,input_size_1,input_size_2,output_size_0,output_size_1,output_size_2,kernel_0,kernel_1,"
      "stride_0,stride_1,power,runtime,layer_name\n"
      "1,64,112,112,64,56,56,112,112,2,2,5000000,0.5,pool\n1,512,7,7,512,1,1,7,7,1,1,5000000,0.5,global\n",
      "pooling", "net", "pooling.csv", dataset));
  std::string told;
  for (const std::string& remark : dataset.remarks) told += remark;
  EXPECT_NE(told.find("1 pooling windows"), std::string::npos) << told;
  EXPECT_FALSE(read_edgeprofiler("a,b\n1,2\n", "dense", "net", "dense.csv", dataset));
}

TEST(PredictNetwork, AnEngineOfTensorRtHasTrueWindowsGroupsAndKinds) {
  const auto network = network_from_json(R"({"Layers":[
    {"Name":"c","LayerType":"CaskConvolution","Inputs":[{"Dimensions":[1,64,56,56],"Format/Datatype":"Channel major FP16 format"}],
     "Outputs":[{"Dimensions":[1,64,56,56],"Format/Datatype":"Channel major FP16 format"}],"Kernel":[3,3],"PrePadding":[1,1],"PostPadding":[1,1],"Stride":[1,1],"Groups":64,"Activation":"RELU"},
    {"Name":"p","LayerType":"CaskPooling","Inputs":[{"Dimensions":[1,64,112,112],"Datatype":"FP32"}],"Outputs":[{"Dimensions":[1,64,56,56],"Datatype":"FP32"}],"WindowSize":[3,3],"Stride":[2,2]},
    {"Name":"f","LayerType":"CaskGemmConvolution","Inputs":[{"Dimensions":[1,512,1,1],"Datatype":"FP32"}],"Outputs":[{"Dimensions":[1,1000,1,1],"Datatype":"FP32"}],"Kernel":[1,1],
     "Weights":{"Type":"Float","Count":512000},"Bias":{"Type":"Float","Count":1000}},
    {"Name":"q","LayerType":"CaskGemmConvolution","Inputs":[{"Dimensions":[1,512,7,7],"Datatype":"FP32"}],"Outputs":[{"Dimensions":[1,64,7,7],"Datatype":"FP32"}],"Kernel":[1,1]},
    {"Name":"w","LayerType":"CaskPooling","Inputs":[{"Dimensions":[1,64,8,8],"Datatype":"FP32"}],"Outputs":[{"Dimensions":[1,64,4,4],"Datatype":"FP32"}]},
    {"Name":"k","LayerType":"kgen"}]})",
                                         "t");
  ASSERT_TRUE(network) << network.error().what;
  const auto& l = network->layers;
  EXPECT_EQ(l[0].kind, "convolution");
  EXPECT_EQ(l[0].dtype, "float16");
  EXPECT_EQ(l[0].groups, 64);
  EXPECT_DOUBLE_EQ(l[0].macs, 64.0 * 56 * 56 * 9);
  EXPECT_DOUBLE_EQ(l[0].bytes_weights, 64.0 * 9 * 2);  // not told: from the shapes
  EXPECT_EQ(l[0].activation, "RELU");
  EXPECT_EQ(l[0].padding[0], 2);
  EXPECT_EQ(l[1].kernel[0], 3);
  EXPECT_EQ(l[2].kind, "dense");
  EXPECT_EQ(l[3].kind, "convolution");
  EXPECT_DOUBLE_EQ(l[2].bytes_weights, 513000.0 * 4);
  EXPECT_EQ(l[4].kernel[0], 2);
  EXPECT_DOUBLE_EQ(l[4].other_operations, 64.0 * 4 * 4 * 4);
  EXPECT_EQ(l[5].kind, "unknown");
  EXPECT_EQ(network->remarks.size(), 2U);  // the window of w, the shapes of k
  EXPECT_NE(network_from_json(R"({"Layers":["c","p"]})", "t").error().fix.find("detailed"), std::string::npos);
}

// Kills: a matrix product of unknown depth, or a tensor of unknown shape, that counts as a layer of no work.
TEST(PredictNetwork, WhatAnEngineLeavesOpenIsAskedForOrNotKnownAndNeverOneElement) {
  const std::string text = R"({"Layers":[
    {"Name":"c","LayerType":"CaskConvolution","Inputs":[{"Name":"in","Dimensions":[-1,8,56,56],"Datatype":"FP32"}],
     "Outputs":[{"Name":"a","Dimensions":[-1,16,56,56],"Datatype":"FP32"}],"Kernel":[3,3]},
    {"Name":"m","LayerType":"MatrixMultiply","Inputs":[{"Name":"a","Dimensions":[1,8,64],"Datatype":"FP32"},{"Name":"a","Dimensions":[1,8,64],"Datatype":"FP32"}],
     "Outputs":[{"Name":"b","Dimensions":[1,8,8],"Datatype":"FP32"}]},
    {"Name":"p","LayerType":"CaskPooling","Inputs":[{"Name":"b","Dimensions":[1,8,-1,8],"Datatype":"FP32"}],
     "Outputs":[{"Name":"d","Dimensions":[1,8,-1,4],"Datatype":"FP32"}]},
    {"Name":"s","LayerType":"CudaSoftMax","Inputs":[{"Name":"d","Dimensions":[1,8],"Datatype":"FP32"}],"Outputs":[{"Name":"e","Dimensions":[1,8],"Datatype":"FP32"}]},
    {"Name":"f","LayerType":"FullyConnected","Inputs":[{"Name":"e","Dimensions":[2,8,3,3],"Datatype":"FP32"}],"Outputs":[{"Name":"o","Dimensions":[2,10,1,1],"Datatype":"FP32"}]}]})";
  const auto open = network_from_json(text, "t");
  ASSERT_FALSE(open);
  EXPECT_NE(open.error().what.find("in [-1,8,56,56]"), std::string::npos) << open.error().what;
  EXPECT_NE(open.error().fix.find("--batch"), std::string::npos);
  const auto network = network_from_json(text, "t", 4);
  ASSERT_TRUE(network) << network.error().what;
  const auto& l = network->layers;
  EXPECT_EQ(why_unusable(l[0]), "");
  EXPECT_DOUBLE_EQ(l[0].macs, 4.0 * 16 * 56 * 56 * 8 * 9);
  EXPECT_NE(why_unusable(l[1]).find("multiplied"), std::string::npos) << why_unusable(l[1]);
  EXPECT_NE(why_unusable(l[2]), "");
  EXPECT_EQ(why_unusable(l[3]), "");
  EXPECT_EQ(why_unusable(l[4]), "");
  EXPECT_DOUBLE_EQ(l[4].macs, 2.0 * 72 * 10);
}

TEST(PredictNetwork, SummariesOfTorchAndListsByHandAreRead) {
  const auto torch = network_from_json(
      R"("{\"conv1\":{\"type\":\"Conv2d\",\"input_shape\":[1,3,32,32],\"output_shape\":\"(1, 6, 28, 28)\",\"kernel_size\":[5,5],\"stride\":1,\"padding\":0},\"fc\":{\"type\":\"Linear\",\"input_shape\":[1,400],\"output_shape\":[1,120]}}")",
      "t");
  ASSERT_TRUE(torch) << torch.error().what;
  EXPECT_EQ(torch->layers[0].name, "conv1");
  EXPECT_DOUBLE_EQ(torch->layers[0].macs, 6.0 * 28 * 28 * 3 * 25);
  EXPECT_EQ(torch->layers[1].kind, "dense");
  EXPECT_DOUBLE_EQ(torch->layers[1].macs, 48000);
  EXPECT_EQ(torch->remarks.size(), 1U);  // groups
  const auto list = network_from_json(R"([{"kind":"dense","in_0":512,"out_0":1000}])", "t");
  ASSERT_TRUE(list) << list.error().what;
  EXPECT_DOUBLE_EQ(list->layers[0].macs, 512000);
  for (const char* bad : {"", "[]", "{}", "[1]", "[{}]", "{\"layers\":3}", "[{\"kind\":\"dense\",\"in_0\":-1}]",
                          "[{\"type\":\"Conv2d\"}]", "\"[]\""})
    EXPECT_FALSE(network_from_json(bad, "t")) << bad;
}

Layer torch_layer(const std::string& members, double batch = 0) {
  const auto network = network_from_json("[{\"name\":\"x\",\"groups\":1," + members + "}]", "t", batch);
  EXPECT_TRUE(network) << members << ": " << (network ? "" : network.error().what);
  return network ? network->layers.front() : Layer{};
}

// Kills: a matrix of rows whose depth is 1, its input's width too few.
TEST(PredictNetwork, AMatrixOfRowsIsTheSameWorkInWhateverRankItIsTold) {
  for (const char* shapes : {R"("input_shape":[1,128,256],"output_shape":[1,128,1024])",
                             R"("input_shape":[128,256],"output_shape":[128,1024])",
                             R"("input_shape":[1,1,128,256],"output_shape":[1,1,128,1024])"}) {
    const Layer layer = torch_layer(std::string(R"("type":"Linear",)") + shapes);
    EXPECT_EQ(layer.macs, 128.0 * 256 * 1024) << shapes;
    EXPECT_EQ(layer.bytes_weights, 4.0 * 256 * 1024) << shapes;
  }
  EXPECT_EQ(torch_layer(R"("type":"Linear","input_shape":[2,128,256],"output_shape":[2,128,1])").macs, 2 * 128 * 256);
  const auto list = network_from_json(R"([{"kind":"dense","in_0":128,"in_1":256,"out_0":128,"out_1":1024}])", "t");
  ASSERT_TRUE(list) << list.error().what;
  EXPECT_EQ(list->layers[0].macs, 128.0 * 256 * 1024);
  EXPECT_EQ(list->layers[0].bytes_weights, 4.0 * 256 * 1024);
}

// Kills: a window of one dimension that is squared, one of three that loses a side, a transposed one over each output.
TEST(PredictNetwork, WindowsOfTorchHaveTheDimensionsOfTheirLayer) {
  const Layer line = torch_layer(
      R"("type":"Conv1d","input_shape":[1,16,100],"output_shape":[1,32,100],"kernel_size":[3],"padding":[1],"stride":1)");
  EXPECT_EQ(line.macs, 32.0 * 100 * 16 * 3);
  EXPECT_EQ(line.kernel, (std::array<double, 2>{3, 1}));
  EXPECT_EQ(line.padding, (std::array<double, 2>{2, 0}));
  EXPECT_EQ(torch_layer(R"("type":"Conv2d","input_shape":[1,16,9,9],"output_shape":[1,32,9,9],"kernel_size":3)").macs,
            32.0 * 81 * 16 * 9);
  EXPECT_EQ(
      torch_layer(R"("type":"Conv3d","input_shape":[1,2,4,4,4],"output_shape":[1,3,4,4,4],"kernel_size":[3,3,3])").macs,
      3.0 * 64 * 2 * 27);
  const Layer up = torch_layer(
      R"("type":"ConvTranspose2d","input_shape":[1,64,16,16],"output_shape":[1,32,32,32],"kernel_size":[2,2],"stride":[2,2])");
  EXPECT_EQ(up.macs, 2097152);
  EXPECT_EQ(up.bytes_weights, 4.0 * 64 * 32 * 4);
}

// Kills: a batch of -1 that is bounded by nothing, or read as 1 for its minus was lost.
TEST(PredictNetwork, ABatchThatTorchLeavesOpenIsAskedForAndOddSizesAreRefused) {
  for (const char* shapes :
       {R"("input_shape":[-1,8],"output_shape":[-1,4])", R"("input_shape":"[-1, 8]","output_shape":"[-1, 4]")"}) {
    const std::string text = std::string(R"([{"type":"Linear",)") + shapes + "}]";
    const auto open = network_from_json(text, "t");
    ASSERT_FALSE(open) << shapes;
    EXPECT_EQ(open.error().code, ErrorCode::usage);
    EXPECT_NE(open.error().fix.find("--batch"), std::string::npos);
    EXPECT_EQ(torch_layer(std::string(R"("type":"Linear",)") + shapes, 3).macs, 3.0 * 8 * 4);
  }
  for (const char* odd : {R"("type":"Linear","input_shape":[1,-8],"output_shape":[1,4])",
                          R"("type":"Linear","input_shape":[1,8],"output_shape":[1,0])",
                          R"("type":"Conv2d","groups":7,"input_shape":[1,64,8,8],"output_shape":[1,64,8,8])"})
    EXPECT_FALSE(network_from_json("[{" + std::string(odd) + "}]", "t", 2)) << odd;
}

TEST(PredictNetwork, WorkThatDoesNotFollowFromSizesIsNotKnownUnlessItIsTold) {
  const std::string attention = R"("type":"MultiheadAttention","input_shape":[1,128,256],"output_shape":[1,128,256])";
  EXPECT_NE(why_unusable(torch_layer(attention)).find("multiply_adds"), std::string::npos);
  EXPECT_EQ(why_unusable(torch_layer(attention + R"(,"multiply_adds":42000000)")), "");
  EXPECT_EQ(torch_layer(R"("type":"UpsamplingBilinear2d","input_shape":[1,3,8,8],"output_shape":[1,3,16,16])").kind,
            "resize");
  const auto list = network_from_json(
      R"([{"kind":"matmul","in_0":8,"out_0":8},{"kind":"matmul","in_0":8,"out_0":8,"macs":64}])", "t");
  ASSERT_TRUE(list) << list.error().what;
  EXPECT_NE(why_unusable(list->layers[0]), "");
  EXPECT_EQ(why_unusable(list->layers[1]), "");
}

// Kills: a slip of the finger in a column's name, which left all sizes at 1.
TEST(PredictNetwork, ColumnsThatNobodyKnowsAreRefusedOrTold) {
  for (const auto& [text, meant] : std::initializer_list<std::pair<const char*, const char*>>{
           {R"([{"kind":"dense","in0":512,"out_0":10}])", "in_0"},
           {R"([{"kind":"convolution","in_0":3,"kernel":3}])", "kernel_0"},
           {R"([{"kind":"convolution","in_0":3,"kernel_0":3,"kernel":3}])", "kernel_0"},
           {R"([{"kind":"dense","input_shape":[1,2]}])", "in_0"}}) {
    const auto network = network_from_json(text, "t");
    ASSERT_FALSE(network) << text;
    EXPECT_NE(network.error().fix.find(meant), std::string::npos) << network.error().what << network.error().fix;
  }
  EXPECT_FALSE(network_from_json(R"([{"kind":"convolution","in_0":64,"out_0":64,"groups":7}])", "t"));
  const auto told = network_from_json(R"([{"kind":"dense","in_0":8,"out_0":4,"remark":"mine"}])", "t");
  ASSERT_TRUE(told) << told.error().what;
  ASSERT_EQ(told->remarks.size(), 1U);
  EXPECT_NE(told->remarks[0].find("'remark'"), std::string::npos);
  Dataset dataset;  // which may have columns of its own, and none that hides what is missing
  ASSERT_TRUE(read_rows("network,layer,kind,in_0,in_3,runtime_s\na,x,dense,8,1,1\n", "t", true, dataset));
  EXPECT_EQ(dataset.remarks.size(), 1U);
  EXPECT_FALSE(read_rows("network,layer,kind,in0,runtime_s\na,x,dense,8,1\n", "t", true, dataset));
}

// Kills: bytes left as they were; a pooling over everything that keeps its window; a dense layer that grows.
TEST(WhatIf, SizesAndCostsChangeTogether) {
  NetworkToPredict network;
  network.layers = {convolution(1, 3, 224, 64, 3, 2), convolution(1, 64, 112, 64, 3, 1, 64)};
  Layer pool;
  pool.kind = "pooling", pool.in = {64, 112, 112}, pool.out = {64, 1, 1}, pool.kernel = {112, 112};
  complete(pool);
  Layer dense;
  dense.kind = "dense", dense.in = {64, 1, 1}, dense.out = {10, 1, 1};
  complete(dense);
  network.layers.push_back(pool), network.layers.push_back(dense);
  WhatIf what_if;
  what_if.resolution = 112;
  auto smaller = network;
  ASSERT_TRUE(change(smaller, what_if));
  EXPECT_EQ(smaller.layers[0].out[1], 56);
  EXPECT_DOUBLE_EQ(smaller.layers[0].macs, network.layers[0].macs / 4);
  EXPECT_EQ(smaller.layers[2].kernel[0], 56);
  EXPECT_DOUBLE_EQ(smaller.layers[3].macs, 640);
  what_if = {};
  what_if.batch = 8, what_if.dtype = "float16";
  auto batch = network;
  ASSERT_TRUE(change(batch, what_if));
  EXPECT_DOUBLE_EQ(batch.layers[0].macs, 8 * network.layers[0].macs);
  EXPECT_DOUBLE_EQ(batch.layers[0].bytes_weights, network.layers[0].bytes_weights / 2);
  EXPECT_DOUBLE_EQ(batch.layers[0].bytes_written, 4 * network.layers[0].bytes_written);
  what_if = {};
  what_if.width = 0.5;
  auto thin = network;
  ASSERT_TRUE(change(thin, what_if));
  EXPECT_EQ(thin.layers[0].in[0], 3);
  EXPECT_EQ(thin.layers[0].out[0], 32);
  EXPECT_EQ(thin.layers[1].groups, 32);
  EXPECT_EQ(thin.layers[3].out[0], 10);
  EXPECT_DOUBLE_EQ(thin.layers[3].macs, 320);
  what_if.resolution = 64;
  NetworkToPredict flat;
  flat.layers = {dense};
  EXPECT_FALSE(change(flat, what_if));
}

}  // namespace
}  // namespace prony::predict
