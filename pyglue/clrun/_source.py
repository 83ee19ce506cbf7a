"""How the app's source files are read: an import hook that takes no stale bytecode.

CPython trusts a .pyc whose header names the size and the whole second of its source's last change.
Two edits of the same size within a second are therefore one to it. The hook covers the app's own
files, whatever imports them and whenever: before the first refresh it distrusts a .pyc that was
written in the same moment as its source, from then on it compiles from source every time.
"""

from __future__ import annotations

import os
import sys
import time
from importlib.machinery import PathFinder, SourceFileLoader
from importlib.util import cache_from_source, spec_from_file_location

from _clrun import _owns_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from importlib.machinery import ModuleSpec
    from types import CodeType, ModuleType

# A .pyc this much younger than its source (seconds) was written after the source's last change, on
# file systems with stamps of two seconds as well.
_MARGIN = 2.0


def _drop_racy_bytecode(source: str) -> bool:
    """Remove the .pyc of `source` if an edit may have escaped it. False: it is there to stay."""
    try:
        pyc = cache_from_source(source)
        with open(pyc, "rb") as file:
            flags = file.read(8)[4:]
            written = os.fstat(file.fileno()).st_mtime
        # Flags other than zero: validated by a hash of the source, which no edit escapes.
        if any(flags) or written >= os.stat(source).st_mtime + _MARGIN:
            return True
    except (OSError, NotImplementedError):
        return True
    try:
        os.unlink(pyc)
    except OSError:
        return False
    return True


class AppLoader(SourceFileLoader):
    """Loads one of the app's own source files.

    Only get_code() is ours: exec_module() would show up in every traceback of a failing import.
    """

    def get_code(self, fullname: str) -> CodeType | None:
        path = self.get_filename(fullname)
        hook.note(path)
        if hook.fresh:
            _adopt_children(sys.modules.get(fullname))
        if hook.fresh or not _drop_racy_bytecode(path):
            return self.source_to_code(self.get_data(path), path)
        return super().get_code(fullname)


def _adopt_children(package: ModuleType | None) -> None:
    """Give a package that is loaded anew its modules that stayed, such as extension modules.

    They are in sys.modules, so that importing them would no longer set the attribute.
    """
    if package is None or not hasattr(package, "__path__"):
        return
    prefix = package.__name__ + "."
    for name, module in list(sys.modules.items()):
        if name.startswith(prefix) and "." not in name[len(prefix) :] and module is not None:
            setattr(package, name[len(prefix) :], module)


class Hook:
    """The finder, and what load_module has to remember between two calls.

    `begin`, `commit` and `rollback` frame one load; load_module calls them.
    """

    def __init__(self) -> None:
        self.roots: list[str] = []  # the app's directories, symbolic links resolved
        self.root: str | None = None  # the one that load_module put on sys.path
        self.old_root: str | None = None  # the one it put there before
        self.venv: str | None = None
        self.fresh = False  # compile from source always
        # Called with (time in ns, path) when an own file is read there first.
        self.on_directory: Callable[[int, str], None] | None = None
        self._noted: set[str] = set()  # directories that it was called with
        self._owned: dict[str, bool] = {}  # directory: are its files the app's own?
        self._saved: tuple[list[str], str | None, str | None, str | None] | None = None

    def begin(self, root: str, venv: str | None, refresh: bool) -> None:
        self._saved = (self.roots, self.root, self.old_root, self.venv)
        self.roots = self.roots if root in self.roots else [*self.roots, root]
        self.old_root, self.root = self.root, root
        self.venv = venv
        # Stays on when the load fails: the files have been edited in any case.
        self.fresh = self.fresh or refresh
        self._owned.clear()
        self._install()

    def commit(self) -> None:
        self._saved = None

    def rollback(self) -> None:
        assert self._saved is not None, "no load has begun"
        self.roots, self.root, self.old_root, self.venv = self._saved
        self._saved = None
        self._owned.clear()

    def adopt(self, spec: ModuleSpec) -> str:
        """The directory from which `spec` was found is the app's. Returns it."""
        assert spec.origin is not None, "load_module asks for modules of files only"
        root = os.path.realpath(spec.origin)
        for _ in range(1 + spec.name.count(".") + (spec.submodule_search_locations is not None)):
            root = os.path.dirname(root)
        if root not in self.roots:
            self.roots = [*self.roots, root]
            self._owned.clear()
        return root

    def spec(self, name: str, file: str) -> ModuleSpec | None:
        return spec_from_file_location(name, file, loader=AppLoader(name, file))

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        spec = PathFinder.find_spec(name, path, target)
        if spec is None:
            return None
        if spec.origin is None:
            self._note_namespace(spec.submodule_search_locations or ())
        elif type(spec.loader) is SourceFileLoader and self.owns(spec.origin):
            spec.loader = AppLoader(name, spec.origin)
        return spec

    def note(self, path: str) -> None:
        """An own file is about to be read: who watches the app should know its directory.

        Of a symbolic link that is the file's own one as well.
        """
        if self.on_directory is None:
            return
        for name in (os.path.abspath(path), os.path.realpath(path)):
            self._note_directory(os.path.dirname(name))

    def _note_directory(self, directory: str) -> None:
        if self.on_directory is not None and directory not in self._noted:
            self._noted.add(directory)
            self.on_directory(time.time_ns(), directory)

    def note_settings(self, directory: str) -> None:
        """What the app is set up by lies here; who watches knows which names those files have."""
        if self.on_directory is not None and os.path.isdir(directory):
            self._note_directory(os.path.realpath(directory))

    def _note_namespace(self, directories: Iterable[str]) -> None:
        """A package without a file: its modules may be there or yet to come."""
        if self.on_directory is not None:
            for directory in directories:
                if self.owns(os.path.join(directory, "__init__.py")):
                    self._note_directory(os.path.realpath(directory))

    def owns(self, file: str) -> bool:
        directory = os.path.dirname(file)
        owned = self._owned.get(directory)
        if owned is None:
            owned = self._owned[directory] = _owns_path(file, self.roots, self.venv)
        return owned

    def _install(self) -> None:
        """Stand before the finder that reads sys.path, and behind all others."""
        if self not in sys.meta_path:
            at = sys.meta_path.index(PathFinder) if PathFinder in sys.meta_path else None
            sys.meta_path.insert(len(sys.meta_path) if at is None else at, self)


hook = Hook()
