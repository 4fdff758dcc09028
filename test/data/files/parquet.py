# Writes the Parquet files of this folder: ten rows in groups of four, by another implementation (pyarrow 26.0.1).
import pathlib
import pyarrow
import pyarrow.parquet

here = pathlib.Path(__file__).parent
table = pyarrow.table({
    "id": pyarrow.array(range(10), pyarrow.int64()),
    "x": pyarrow.array([None if i == 3 else i / 4 for i in range(10)], pyarrow.float64()),
    "name": pyarrow.array([f"é {i % 3}" for i in range(10)]),
    "flag": pyarrow.array([i % 2 == 0 for i in range(10)]),
    "vector": pyarrow.array([[i, i + 0.5] for i in range(10)], pyarrow.list_(pyarrow.float32())),
    "point": pyarrow.array([{"a": i, "b": f"{i}"} for i in range(10)]),
    "small": pyarrow.array(range(10), pyarrow.int32()),
})
for codec in ["none", "snappy", "gzip", "zstd", "brotli", "lz4"]:
    pyarrow.parquet.write_table(table, here / f"{codec}.parquet", compression=codec, row_group_size=4)
