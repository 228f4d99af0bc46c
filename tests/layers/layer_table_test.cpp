// Tables of layers: which column is a layer's time, and what of Prony's own tables is no layer.
#include "layers/layer_table.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "layers/other_files.hpp"

namespace prony::layers {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;

Result<Recording> layers_of_csv(const std::string& text) {
  EXPECT_EQ(kind_of(text), FileKind::table) << text;
  TextSource source(text);
  return read_table(source);
}

TEST(Tables, AnyCsvThatNamesLayersAndTheUnitOfTheirTimesIsRead) {
  for (const auto& [header, unit] : {std::pair<const char*, double>{"layer_name,type,time_ms", 1.0},
                                     {"name,op,duration_us", 1e-3},
                                     {"layer,op_type,ns", 1e-6},
                                     {"layer,type,time_s", 1e3}}) {
    const std::string text = std::string(header) + "\n\"a, b\",Conv,3\nc,Relu,1\n\"a, b\",Conv,5\nd,Relu,\n";
    EXPECT_EQ(kind_of(text), FileKind::table) << header;
    TextSource source(text);
    const auto read = read_table(source);
    ASSERT_TRUE(read) << header;
    ASSERT_EQ(read->layers.size(), 2u);
    EXPECT_EQ(read->layers[0].name, "a, b");
    EXPECT_EQ(read->layers[0].type, "Conv");
    EXPECT_DOUBLE_EQ(read->layers[0].ms[1], 5 * unit);
    EXPECT_THAT(read->notes, Contains(HasSubstr("1 rows without a time")));
  }
  for (const char* text : {"layer,time\na,1\n", "layer,time_ms\na,x\n", "layer,time_ms\na,-1\n", "layer,time_ms\n",
                           "layer,time_ms\n\"a,1\n"}) {
    TextSource source(text);
    EXPECT_FALSE(read_table(source)) << text;
  }
}

// Kills: predictions that pass for a recording.
TEST(Tables, EdgeProfilersPredictionsAreReadAndSaidToBePredicted) {
  const std::string text =
      "power_prediction,runtime_prediction,layer_name,layer_type\n4.25,0.0528,/conv1/Conv,convolutional\n"
      "4.5,0.0143,/maxpool/MaxPool,pooling\n";
  EXPECT_EQ(kind_of(text), FileKind::table);
  TextSource source(text);
  const auto read = read_table(source);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->kind, "EdgeProfiler predictions");
  ASSERT_EQ(read->layers.size(), 2u);
  EXPECT_EQ(read->layers[1].name, "/maxpool/MaxPool");
  EXPECT_EQ(read->layers[1].type, "pooling");
  EXPECT_DOUBLE_EQ(read->layers[1].ms.front(), 0.0143);
  EXPECT_DOUBLE_EQ(*read->layers[0].told_w, 4.25);
  EXPECT_THAT(read->notes, Contains(HasSubstr("nothing in it was measured")));
}

// Kills: the first column with a unit, which is when a layer began.
TEST(Tables, BeginningsDeviationsAndBoundsAreNeverTakenForALayersTime) {
  for (const char* header :
       {"layer_name,start_us,duration_us", "name,ts_us,dur_us", "layer,end_us,latency_us", "layer,std_us,mean_us",
        "layer,min_us,median_us", "layer,median_us,mean_us", "layer,p99_us,avg_us", "layer,offset_us,kernel_us"}) {
    const auto read = layers_of_csv(std::string(header) + "\nconv,10,3\n");
    ASSERT_TRUE(read) << header;
    EXPECT_DOUBLE_EQ(read->layers[0].ms[0], 0.003) << header;
    EXPECT_THAT(read->notes, Contains(HasSubstr("times are those of the column"))) << header;
  }
}

TEST(Tables, SeveralColumnsThatMayBeTheTimeAreAnErrorThatNamesThem) {
  for (const auto& [header, names] :
       {std::pair<const char*, const char*>{"layer,time_ms,time_us", "time_ms, time_us"},
        {"layer,cpu_time_ms,cuda_time_ms", "cpu_time_ms, cuda_time_ms"},
        {"layer,first_us,second_us", "first_us, second_us"},
        {"layer,start_us,end_us", "start_us, end_us: no column there is how long a layer took"}}) {
    const auto read = layers_of_csv(std::string(header) + "\nconv,10,3\n");
    ASSERT_FALSE(read) << header;
    EXPECT_THAT(read.error().what, HasSubstr(names));
  }
}

// Kills: the rest and the whole counted as layers, which halves every share.
TEST(Tables, OfPronysOwnTheRestAndTheWholeAreNoLayers) {
  const auto read = layers_of_csv(
      "part,layer,op,kind,graph_nodes,provider,mean_s,sd_s,median_s,min_s,max_s,runs,zero_runs,macs,parameters\n"
      ",conv1,Conv,convolution,conv1 + relu1,CPU,3e-05,1e-06,2e-05,1e-05,4e-05,100,0,7,8\n"
      ",Add,Add,other,,CPU,1e-05,,1e-05,,,100,0,,\n,Add,Add,other,,CPU,2e-05,,2e-05,,,100,0,,\n"
      ",unattributed,,,,,4e-05,,,,,,,,\n,end-to-end,,,,,0.0001,,,,,,,,\n");
  ASSERT_TRUE(read);
  ASSERT_EQ(read->layers.size(), 3U);
  EXPECT_EQ(read->layers[0].runs, 100U);
  EXPECT_DOUBLE_EQ(*read->layers[0].mean_ms, 0.03);
  EXPECT_DOUBLE_EQ(*read->layers[0].median_ms, 0.02);
  EXPECT_EQ(read->layers[2].name, "Add (2)");
  const auto rest = unattributed(*read);
  ASSERT_TRUE(rest);
  EXPECT_NEAR(rest->ms(), 0.04, 1e-12);
  EXPECT_NEAR(rest->whole_ms, 0.1, 1e-12);
  const auto again = layers_of_csv(
      "layer,type,runs,mean_ms,median_ms,deviation_ms,least_ms,most_ms,told_w\nconv,Conv,5,2,1.5,0.1,1,3,4.5\n"
      "(unattributed),,,-0.5,,,,,\n");
  ASSERT_TRUE(again);
  ASSERT_EQ(again->layers.size(), 1U);
  EXPECT_DOUBLE_EQ(*again->layers[0].told_w, 4.5);
  EXPECT_DOUBLE_EQ(again->inference_ms.at(0), 1.5);
}

TEST(Tables, PrefillAndDecodeAreNotPooled) {
  const std::string head =
      "part,layer,op,kind,graph_nodes,provider,mean_s,sd_s,median_s,min_s,max_s,runs,zero_runs,macs,parameters\n";
  const auto one = layers_of_csv(head + "decode,layer 0,MUL,,,,1e-3,,,,,5,0,,\ndecode,layer 0,ADD,,,,2e-3,,,,,5,0,,\n");
  ASSERT_TRUE(one);
  EXPECT_EQ(one->layers.at(1).name, "layer 0 ADD");
  const auto both =
      layers_of_csv(head + "prefill,layer 0,MUL,,,,1e-3,,,,,5,0,,\ndecode,layer 0,MUL,,,,2e-3,,,,,5,0,,\n");
  ASSERT_FALSE(both);
  EXPECT_THAT(both.error().what, HasSubstr("'prefill' and 'decode'"));
}

// Kills: twenty networks pooled into one.
TEST(Tables, ADataSetOfSeveralNetworksIsRefusedAndOneOfASingleNetworkIsRead) {
  const std::string head = "network,config,layer,kind,batch,runtime_s,energy_j\n";
  EXPECT_TRUE(layers_of_csv(head + "lenet,b1,conv1,convolution,1,0.001,\nlenet,b1,fc,dense,1,0.002,\n"));
  for (const char* second : {"vgg,b1,conv1,convolution,1,0.003,\n", "lenet,b4,conv1,convolution,4,0.003,\n"}) {
    const auto read = layers_of_csv(head + "lenet,b1,conv1,convolution,1,0.001,\n" + second);
    ASSERT_FALSE(read) << second;
    EXPECT_THAT(read.error().what, HasSubstr("data set of several networks"));
    EXPECT_THAT(read.error().fix, HasSubstr("prony predict"));
  }
}

}  // namespace
}  // namespace prony::layers
