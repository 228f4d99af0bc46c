"""Columns handed to numpy, pandas, polars and pyarrow: the same numbers, absent where absent, and over the same memory."""

import gc
import os
import tempfile
import weakref

import prony
from support import Case


class Columns(Case):
    @classmethod
    def setUpClass(cls):
        import shutil
        import tempfile

        folder = tempfile.mkdtemp(prefix="prony-python-")
        cls.addClassCleanup(shutil.rmtree, folder, True)
        with prony.Meter(folder + "/x.prony", simulate="laptop") as meter:
            for number in range(3):
                with prony.span("größer", kind="request", prompt_tokens=number):
                    sum(range(200_000))
        cls.run_ = meter.run()
        cls.addClassCleanup(cls.run_.close)
        cls.samples = cls.run_.table("samples")
        cls.plain = cls.samples.to_dict()
        cls.energy = next(name for name in cls.plain if name.startswith("rapl.psys"))

    def test_plain_lists_have_none_where_nothing_was_read_and_numbers_elsewhere(self):
        values = self.plain[self.energy]
        self.assertIn(None, values)
        self.assertTrue(any(isinstance(v, float) and v > 0 for v in values))
        self.assertTrue(all(isinstance(v, int) for v in self.plain["begin_ns"]))
        self.assertEqual(dict(self.samples), self.plain)
        names = self.run_.table("spans")["name"]
        self.assertEqual(names.count("größer"), 3)

    def test_a_column_that_is_not_there_is_a_key_error(self):
        with self.assertRaises(KeyError):
            self.samples["no such"]
        with self.assertRaises(prony.PronyError):
            self.run_.table("no such")

    def test_numpy_sees_the_tables_own_memory_and_a_mask_where_nothing_is(self):
        numpy = self.library("numpy")
        arrays = self.samples.to_numpy()
        begins = arrays["begin_ns"]
        self.assertEqual((begins.dtype, begins.tolist()), (numpy.dtype("int64"), self.plain["begin_ns"]))
        again = self.samples.column("begin_ns").to_numpy()
        self.assertEqual(begins.__array_interface__["data"][0], again.__array_interface__["data"][0])
        self.assertFalse(begins.flags.writeable)
        energy = arrays[self.energy]
        self.assertEqual(energy.tolist(), self.plain[self.energy])
        self.assertEqual(int(energy.mask.sum()), self.plain[self.energy].count(None))

    def test_an_array_keeps_its_table_and_lets_it_go(self):
        self.library("numpy")
        table = self.run_.table("samples")
        gone = weakref.ref(table)
        array = table.column("begin_ns").to_numpy()
        del table
        gc.collect()
        self.assertIsNotNone(gone())
        self.assertEqual(array.tolist(), self.plain["begin_ns"])
        del array
        gc.collect()
        self.assertIsNone(gone())

    def test_pyarrow_takes_a_batch_a_table_and_a_stream_over_the_same_memory(self):
        pyarrow = self.library("pyarrow")
        batch = pyarrow.record_batch(self.samples)
        batch.validate(full=True)
        self.assertEqual(batch.to_pydict(), self.plain)
        self.assertEqual(pyarrow.table(self.samples).to_pydict(), self.plain)
        address = self.samples.column("begin_ns")._array.buffers[1]
        self.assertEqual(batch.column("begin_ns").buffers()[1].address, address)
        self.assertEqual(self.samples.to_arrow().column(0).buffers()[1].address, batch.column(0).buffers()[1].address)
        readings = pyarrow.RecordBatchReader.from_stream(self.run_.readings("rapl.psys.energy")).read_all()
        self.assertEqual(readings.to_pydict(), self.run_.readings("rapl.psys.energy").read())
        none = pyarrow.RecordBatchReader.from_stream(self.run_.readings("rapl.psys.energy", 0, 1)).read_all()
        self.assertEqual((none.num_rows, none.column_names), (0, ["begin_ns", "end_ns", "raw", "value", "quality"]))

    def test_a_table_becomes_parquet_and_comes_back_with_its_gaps(self):
        pyarrow, parquet = self.library("pyarrow"), self.library("pyarrow.parquet")
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "samples.parquet")
            parquet.write_table(pyarrow.table(self.samples), path)
            self.assertEqual(parquet.read_table(path).to_pydict(), self.plain)

    def test_what_was_handed_on_outlives_the_table_and_is_let_go_in_any_order(self):
        pyarrow = self.library("pyarrow")
        table = self.run_.table("spans")
        gone = weakref.ref(table)
        plain = table.to_dict()
        first, second = pyarrow.record_batch(table), pyarrow.record_batch(table)
        column = second.column("name")
        del table, second
        gc.collect()
        self.assertEqual((first.to_pydict(), column.to_pylist()), (plain, plain["name"]))
        del first
        gc.collect()
        self.assertEqual(column.to_pylist(), plain["name"])
        del column
        gc.collect()
        self.assertIsNone(gone())

    def test_capsules_that_nobody_takes_are_freed(self):
        from prony import _arrow

        gc.collect()
        before = (len(_arrow._held), len(_arrow._structs))
        for _ in range(3):
            self.samples.__arrow_c_array__()
            self.samples.__arrow_c_schema__()
            self.samples.__arrow_c_stream__()
            self.run_.readings("rapl.psys.energy").__arrow_c_stream__()
        gc.collect()
        self.assertEqual((len(_arrow._held), len(_arrow._structs)), before)
        self.assertEqual(self.run_._streams, 0)

    def test_polars_has_the_same_columns_and_nulls(self):
        polars = self.library("polars")
        frame = polars.DataFrame(self.samples)
        self.assertEqual(frame.to_dict(as_series=False), self.plain)
        self.assertEqual(self.samples.to_polars()[self.energy].null_count(), self.plain[self.energy].count(None))

    def test_pandas_has_nan_where_nothing_was_read_and_whole_numbers_stay_whole(self):
        self.library("numpy")
        pandas = self.library("pandas")
        frame = self.samples.to_pandas()
        self.assertEqual(frame["begin_ns"].tolist(), self.plain["begin_ns"])
        self.assertEqual(int(frame[self.energy].isna().sum()), self.plain[self.energy].count(None))
        self.assertEqual(frame[self.energy].dropna().tolist(), [v for v in self.plain[self.energy] if v is not None])
        spans = self.run_.table("spans")
        column = spans.to_pandas()["prompt_tokens"] if "prompt_tokens" in spans else None
        if column is not None:
            self.assertEqual([int(v) for v in column.dropna()], [0, 1, 2])
            self.assertTrue(pandas.api.types.is_integer_dtype(column))
