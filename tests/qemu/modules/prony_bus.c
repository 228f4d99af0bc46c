// SPDX-License-Identifier: GPL-2.0
/*
 * prony_bus: an I2C bus that stands in a device tree, so that chips on it get what a board's tree says of them: labels
 * of inputs, shunts. (The kernel's i2c-stub has no place in a tree.)
 *
 * It is no hardware: every child of the node is a chip with 256 registers of 16 bits, sent with the upper byte first.
 * They hold what is written into them, with two exceptions that drivers of Texas Instruments' power monitors wait for,
 * both as in the data sheet of the INA3221 (SBOS576): bit 15 of register 0 brings that register back to 0x7127 and
 * falls, and bit 0 of register 0x0f (a conversion is ready) is set from the start. Nothing is converted or averaged.
 */
#include <linux/i2c.h>
#include <linux/module.h>
#include <linux/of.h>
#include <linux/platform_device.h>
#include <linux/swab.h>

enum { MOST_CHIPS = 4, REGISTERS = 256 };
enum { CONFIGURATION = 0x00, RESET = 0x8000, AFTER_RESET = 0x7127, MASK = 0x0f, CONVERSION_READY = 0x0001 };

struct chip {
  u16 address;
  u16 registers[REGISTERS];
};

struct bus {
  struct i2c_adapter adapter;
  struct chip chips[MOST_CHIPS];
  unsigned int used;
};

static struct chip* chip_at(struct bus* bus, u16 address) {
  unsigned int i;

  for (i = 0; i < bus->used; i++)
    if (bus->chips[i].address == address) return &bus->chips[i];
  return NULL;
}

/* The I2C core lets one in at a time. */
static s32 transfer(struct i2c_adapter* adapter, u16 address, unsigned short flags, char direction, u8 number, int size,
                    union i2c_smbus_data* data) {
  struct chip* chip = chip_at(i2c_get_adapdata(adapter), address);

  if (!chip) return -ENXIO; /* nobody acknowledges */
  if (size == I2C_SMBUS_QUICK) return 0;
  if (size != I2C_SMBUS_WORD_DATA) return -EOPNOTSUPP;
  /* A word of SMBus begins with its lower byte. */
  if (direction == I2C_SMBUS_READ)
    data->word = swab16(chip->registers[number]);
  else if (number == CONFIGURATION && (swab16(data->word) & RESET))
    chip->registers[CONFIGURATION] = AFTER_RESET;
  else
    chip->registers[number] = swab16(data->word);
  return 0;
}

static u32 functionality(struct i2c_adapter* adapter) { return I2C_FUNC_SMBUS_QUICK | I2C_FUNC_SMBUS_WORD_DATA; }

static const struct i2c_algorithm algorithm = {.smbus_xfer = transfer, .functionality = functionality};

static int bus_probe(struct platform_device* device) {
  struct bus* bus = devm_kzalloc(&device->dev, sizeof(*bus), GFP_KERNEL);
  struct device_node* child;
  u32 address;

  if (!bus) return -ENOMEM;
  for_each_available_child_of_node(device->dev.of_node, child) {
    if (bus->used == MOST_CHIPS || of_property_read_u32(child, "reg", &address)) continue;
    bus->chips[bus->used].address = address;
    bus->chips[bus->used].registers[CONFIGURATION] = AFTER_RESET;
    bus->chips[bus->used].registers[MASK] = CONVERSION_READY;
    bus->used++;
  }
  bus->adapter.owner = THIS_MODULE;
  bus->adapter.algo = &algorithm;
  bus->adapter.dev.parent = &device->dev;
  bus->adapter.dev.of_node = device->dev.of_node;
  strscpy(bus->adapter.name, "prony_bus", sizeof(bus->adapter.name));
  i2c_set_adapdata(&bus->adapter, bus);
  return devm_i2c_add_adapter(&device->dev, &bus->adapter);
}

static const struct of_device_id matches[] = {{.compatible = "prony,bus"}, {}};
MODULE_DEVICE_TABLE(of, matches);

static struct platform_driver bus_driver = {
    .probe = bus_probe,
    .driver = {.name = "prony_bus", .of_match_table = matches},
};
module_platform_driver(bus_driver);
MODULE_DESCRIPTION("an I2C bus in a device tree, for the tests of Prony");
MODULE_LICENSE("GPL");
