"""Which importable names a serialised object may name, and which would be the end of it.

`ALLOWED` is what data needs: containers, numbers, arrays, tensors. `DANGEROUS` are modules that run code, reach files,
the network or other names. What is on neither list runs code that nobody here has looked at.
"""

from __future__ import annotations

import re
from typing import Final, Literal

Danger = Literal["allowed", "unknown", "dangerous"]

_PLAIN: Final = frozenset(
    "set frozenset list dict tuple bytearray bytes complex int float str bool slice range object long unicode NoneType "
    "Ellipsis NotImplemented xrange".split()
)
_ALLOWED: Final = {
    "builtins": _PLAIN,
    "__builtin__": _PLAIN,
    "collections": frozenset({"OrderedDict", "defaultdict", "deque", "Counter"}),
    "copyreg": frozenset({"_reconstructor"}),
    "copy_reg": frozenset({"_reconstructor"}),
    "_codecs": frozenset({"encode"}),
    "datetime": frozenset({"date", "time", "datetime", "timedelta", "timezone"}),
    "decimal": frozenset({"Decimal"}),
    "fractions": frozenset({"Fraction"}),
    "uuid": frozenset({"UUID"}),
    "pathlib": frozenset({"PurePosixPath", "PureWindowsPath", "PosixPath", "WindowsPath", "Path"}),
    "array": frozenset({"array", "_array_reconstructor"}),
    "torch._utils": frozenset(
        "_rebuild_tensor _rebuild_tensor_v2 _rebuild_tensor_v3 _rebuild_parameter _rebuild_parameter_with_state "
        "_rebuild_sparse_tensor _rebuild_sparse_csr_tensor _rebuild_qtensor _rebuild_meta_tensor_no_storage "
        "_rebuild_device_tensor_from_numpy _rebuild_nested_tensor _rebuild_wrapper_subclass".split()
    ),
    "torch._tensor": frozenset({"_rebuild_from_type_v2"}),
    "torch.nn.parameter": frozenset({"Parameter", "Buffer"}),
    "torch.serialization": frozenset({"_get_layout"}),
    "torch.storage": frozenset({"UntypedStorage", "TypedStorage"}),
    "joblib.numpy_pickle": frozenset({"NumpyArrayWrapper"}),
    "numpy": frozenset({"ndarray", "dtype"}),
    "numpy.ma.core": frozenset({"_mareconstruct", "MaskedArray"}),
    "numpy.random._pickle": frozenset({"__randomstate_ctor", "__generator_ctor", "__bit_generator_ctor"}),
}
_ALLOWED_SHAPES: Final = (
    re.compile(
        r"numpy\.(?:_?core\.(?:multiarray|_internal)\.(?:_reconstruct|scalar)|_?core\.numeric\._frombuffer)"
    ),
    re.compile(
        r"numpy\.(?:u?int|float|complex)\d{1,3}|numpy\.(?:bool_?|str_|bytes_|void|datetime64|timedelta64)"
    ),
    re.compile(r"numpy\.random\._(?:mt19937\.MT19937|pcg64\.PCG64(?:DXSM)?|philox\.Philox|sfc64\.SFC64)"),
    re.compile(
        r"torch\.(?:\w{1,20}Storage|Size|device|Tensor|dtype|u?int\d{1,2}|b?float\d{1,2}(?:_\w{1,8})?|complex\d{2,3}|bool|half|double|long|strided)"
    ),
)
_DANGEROUS_MODULES: Final = frozenset(
    "os posix nt posixpath ntpath subprocess _posixsubprocess sys importlib imp runpy pkgutil socket ssl shutil pty commands "
    "code codeop webbrowser ctypes _ctypes multiprocessing asyncio threading _thread pip pickle _pickle cPickle marshal "
    "types functools operator _operator itertools requests urllib urllib2 urllib3 httplib http httpx aiohttp ftplib smtplib "
    "telnetlib bdb pdb cmd doctest timeit cProfile profile trace tempfile zipfile tarfile gzip bz2 lzma io _io site sqlite3 "
    "_sqlite3 idlelib ensurepip lib2to3 distutils setuptools inspect gc weakref signal platform logging pydoc uuid_ venv "
    "zipimport turtle fileinput glob pathlib_ dill cloudpickle joblib.numpy_pickle_utils shelve dbm xmlrpc codecs "
    "numpy.testing numpy.f2py numpy.distutils torch.utils torch.hub torch.jit torch._dynamo torch._inductor torch.package "
    "torch.fx torch.distributed pandas.io pandas.core.computation nltk builtins __builtin__ linecache atexit sysconfig "
    "concurrent test unittest xml msvcrt winreg _winapi fcntl mmap resource".split()
)
_DANGEROUS_NAMES: Final = frozenset(
    "torch.load torch.storage._load_from_bytes joblib.load joblib._store_backends.load numpy.load numpy.fromfile numpy.save "
    "numpy.savetxt numpy.loadtxt numpy.genfromtxt numpy.memmap pandas.eval pandas.read_pickle yaml.load yaml.unsafe_load "
    "joblib.numpy_pickle.load keras.models.load_model tensorflow.io.read_file".split()
)


def danger(module: str, name: str) -> Danger:
    """What importing `module.name` and calling it with arguments of an attacker may do."""
    whole = f"{module}.{name}"
    if name in _ALLOWED.get(module, ()) or any(shape.fullmatch(whole) for shape in _ALLOWED_SHAPES):
        return "allowed"
    parts = whole.split(".")
    prefixes = {".".join(parts[:n]) for n in range(1, len(parts) + 1)}
    return "dangerous" if prefixes & _DANGEROUS_MODULES or prefixes & _DANGEROUS_NAMES else "unknown"


def dangerous_module(module: str) -> bool:
    """Whether a module runs code or reaches beyond the process."""
    return danger(module, "x") == "dangerous"
