"""What the flow analysis knows of Python's libraries: where untrusted data enters, where it hurts, what makes it safe.

Names are those of libraries and frameworks, never of a program that is inspected. Each table is data: a new sink is a
line here. Names are dotted as imported; a leading `.` stands for a method of whatever object.
"""

from __future__ import annotations

import re
from typing import Final

# Sinks: dotted name -> (weakness, number of the argument that hurts, its keyword, what happens)
Sink = tuple[str, int, str, str]

_EXEC = "code-execution"
_CMD = "command-execution"
_DES = "unsafe-deserialisation"
_PATH = "path-traversal"
_URL = "request-forgery"
_TPL = "template-injection"
_SQL = "query-injection"
_DYN = "dynamic-dispatch"
_XML = "xml-entities"
_ZIP = "archive-extraction"

SINKS: Final[dict[str, Sink]] = {
    "eval": (_EXEC, 0, "source", "evaluated as Python"),
    "exec": (_EXEC, 0, "source", "executed as Python"),
    "compile": (_EXEC, 0, "source", "compiled to Python code"),
    "builtins.eval": (_EXEC, 0, "source", "evaluated as Python"),
    "builtins.exec": (_EXEC, 0, "source", "executed as Python"),
    "code.InteractiveInterpreter.runcode": (_EXEC, 0, "code", "executed as Python"),
    "code.interact": (_EXEC, 0, "banner", "opens an interpreter"),
    "runpy.run_path": (_EXEC, 0, "path_name", "executed as Python"),
    "sympy.sympify": (_EXEC, 0, "a", "evaluated by sympy, which evaluates Python"),
    "sympy.parse_expr": (_EXEC, 0, "s", "evaluated by sympy, which evaluates Python"),
    "sympy.parsing.sympy_parser.parse_expr": (_EXEC, 0, "s", "evaluated by sympy, which evaluates Python"),
    "pandas.eval": (_EXEC, 0, "expr", "evaluated by pandas"),
    "numexpr.evaluate": (_EXEC, 0, "ex", "evaluated by numexpr, which evaluates Python"),
    "asteval.Interpreter": (_EXEC, 0, "", "evaluated"),
    "os.system": (_CMD, 0, "command", "run by a shell"),
    "os.popen": (_CMD, 0, "cmd", "run by a shell"),
    "commands.getoutput": (_CMD, 0, "cmd", "run by a shell"),
    "subprocess.getoutput": (_CMD, 0, "cmd", "run by a shell"),
    "subprocess.getstatusoutput": (_CMD, 0, "cmd", "run by a shell"),
    "subprocess.run": (_CMD, 0, "args", "started as a process"),
    "subprocess.call": (_CMD, 0, "args", "started as a process"),
    "subprocess.check_call": (_CMD, 0, "args", "started as a process"),
    "subprocess.check_output": (_CMD, 0, "args", "started as a process"),
    "subprocess.Popen": (_CMD, 0, "args", "started as a process"),
    "asyncio.create_subprocess_shell": (_CMD, 0, "cmd", "run by a shell"),
    "asyncio.create_subprocess_exec": (_CMD, 0, "program", "started as a process"),
    "pexpect.spawn": (_CMD, 0, "command", "started as a process"),
    "pexpect.run": (_CMD, 0, "command", "started as a process"),
    "pty.spawn": (_CMD, 0, "argv", "started as a process"),
    "fabric.run": (_CMD, 0, "command", "run by a shell"),
    "invoke.run": (_CMD, 0, "command", "run by a shell"),
    **{
        f"{module}.{name}": (_DES, 0, "file", f"read by {module}.{name}, which runs what the bytes say")
        for module in (
            "pickle",
            "_pickle",
            "cPickle",
            "dill",
            "cloudpickle",
            "joblib",
            "marshal",
            "jsonpickle",
            "pickle5",
            "ray.cloudpickle",
            "srsly.pickle",
        )
        for name in ("load", "loads", "decode", "Unpickler")
    },
    "shelve.open": (_DES, 0, "filename", "opened by shelve, which unpickles"),
    "pandas.read_pickle": (_DES, 0, "filepath_or_buffer", "unpickled"),
    "torch.load": (_DES, 0, "f", "loaded by torch.load, which unpickles"),
    "numpy.load": (_DES, 0, "file", "loaded by numpy with pickles allowed"),
    "yaml.load": (_DES, 0, "stream", "loaded by a YAML loader that builds objects"),
    "yaml.load_all": (_DES, 0, "stream", "loaded by a YAML loader that builds objects"),
    "yaml.unsafe_load": (_DES, 0, "stream", "loaded by a YAML loader that builds objects"),
    "keras.models.load_model": (_DES, 0, "filepath", "loaded by Keras, which may run code of the file"),
    "tensorflow.keras.models.load_model": (
        _DES,
        0,
        "filepath",
        "loaded by Keras, which may run code of the file",
    ),
    "jinja2.Template": (_TPL, 0, "source", "compiled as a template outside a sandbox"),
    "mako.template.Template": (_TPL, 0, "text", "compiled as a template"),
    "flask.render_template_string": (_TPL, 0, "source", "compiled as a template"),
    "django.template.Template": (_TPL, 0, "template_string", "compiled as a template"),
    "importlib.import_module": (_DYN, 0, "name", "imported"),
    "__import__": (_DYN, 0, "name", "imported"),
    "pydoc.locate": (_DYN, 0, "path", "imported"),
    "pkgutil.resolve_name": (_DYN, 0, "name", "imported"),
    "open": (_PATH, 0, "file", "opened as a file"),
    "io.open": (_PATH, 0, "file", "opened as a file"),
    "aiofiles.open": (_PATH, 0, "file", "opened as a file"),
    "codecs.open": (_PATH, 0, "filename", "opened as a file"),
    "os.remove": (_PATH, 0, "path", "deleted"),
    "os.unlink": (_PATH, 0, "path", "deleted"),
    "os.rename": (_PATH, 1, "dst", "renamed"),
    "os.replace": (_PATH, 1, "dst", "renamed"),
    "os.makedirs": (_PATH, 0, "name", "created as a folder"),
    "os.listdir": (_PATH, 0, "path", "listed"),
    "os.scandir": (_PATH, 0, "path", "listed"),
    "shutil.copy": (_PATH, 0, "src", "copied"),
    "shutil.copy2": (_PATH, 0, "src", "copied"),
    "shutil.copyfile": (_PATH, 0, "src", "copied"),
    "shutil.move": (_PATH, 0, "src", "moved"),
    "shutil.rmtree": (_PATH, 0, "path", "deleted with all below it"),
    "flask.send_file": (_PATH, 0, "path_or_file", "sent to the client"),
    "fastapi.responses.FileResponse": (_PATH, 0, "path", "sent to the client"),
    "starlette.responses.FileResponse": (_PATH, 0, "path", "sent to the client"),
    "aiohttp.web.FileResponse": (_PATH, 0, "path", "sent to the client"),
    "PIL.Image.open": (_PATH, 0, "fp", "opened as a file"),
    **{
        f"{client}.{verb}": (_URL, at, "url", "requested")
        for client, verbs in (
            ("requests", "get post put delete patch head options request"),
            ("httpx", "get post put delete patch head options request stream"),
        )
        for verb in verbs.split()
        for at in (1 if verb in ("request", "stream") else 0,)
    },
    "urllib.request.urlopen": (_URL, 0, "url", "requested"),
    "urllib.request.urlretrieve": (_URL, 0, "url", "requested"),
    "urllib.request.Request": (_URL, 0, "url", "requested"),
    "urllib2.urlopen": (_URL, 0, "url", "requested"),
    "aiohttp.request": (_URL, 1, "url", "requested"),
    "wget.download": (_URL, 0, "url", "requested"),
    "lxml.etree.parse": (_XML, 0, "source", "parsed as XML with entities"),
    "lxml.etree.fromstring": (_XML, 0, "text", "parsed as XML with entities"),
    "lxml.etree.XML": (_XML, 0, "text", "parsed as XML with entities"),
    "xml.sax.parse": (_XML, 0, "source", "parsed as XML with entities"),
    "xml.sax.parseString": (_XML, 0, "string", "parsed as XML with entities"),
    "xml.dom.minidom.parse": (_XML, 0, "file", "parsed as XML with entities"),
    "xml.dom.minidom.parseString": (_XML, 0, "string", "parsed as XML with entities"),
    "xml.etree.ElementTree.parse": (_XML, 0, "source", "parsed as XML with entities"),
    "xml.etree.ElementTree.fromstring": (_XML, 0, "text", "parsed as XML with entities"),
    "xml.etree.ElementTree.XML": (_XML, 0, "text", "parsed as XML with entities"),
    "git.Repo.init": (_PATH, 0, "path", "made a repository"),
    "git.Repo.clone_from": (_PATH, 1, "to_path", "cloned to"),
    "shutil.unpack_archive": (_ZIP, 0, "filename", "unpacked"),
}

METHOD_SINKS: Final[dict[str, tuple[str, int, str, str, str]]] = {
    # method -> weakness, argument, keyword, what happens, pattern that the receiver's words must match
    "execute": (
        _SQL,
        0,
        "query",
        "run as a query",
        r"cur|conn|db|engine|sess|sql|client|tx|transaction|database|graph",
    ),
    "executemany": (_SQL, 0, "query", "run as a query", r"cur|conn|db|sess"),
    "executescript": (_SQL, 0, "sql_script", "run as a query", r"cur|conn|db"),
    "read_sql": (_SQL, 0, "sql", "run as a query", r"pd|pandas"),
    "read_sql_query": (_SQL, 0, "sql", "run as a query", r"pd|pandas"),
    "query": (
        _SQL,
        0,
        "query",
        "run as a query",
        r"graph|neo4j|cypher|kuzu|(^|[._])db$|database|driver|duckdb",
    ),
    "run_query": (_SQL, 0, "query", "run as a query", r"graph|db|database|driver|client|sql"),
    "run_cypher": (_SQL, 0, "query", "run as a query", r""),
    "from_string": (_TPL, 0, "source", "compiled as a template outside a sandbox", r"env|jinja"),
    "extractall": (_ZIP, -1, "", "unpacked", r""),
    "build_request": (_URL, 1, "url", "requested", r"client|session|http"),
    "request": (_URL, 1, "url", "requested", r"client|session|http|requests|pool"),
    "get": (_URL, 0, "url", "requested", r"(client|session|http|requests)$"),
    "post": (_URL, 0, "url", "requested", r"(client|session|http|requests)$"),
    "put": (_URL, 0, "url", "requested", r"(client|session|http|requests)$"),
    "stream": (_URL, 1, "url", "requested", r"(client|session|http)$"),
    "goto": (_URL, 0, "url", "opened in a browser", r"page|browser"),
    "ws_connect": (_URL, 0, "url", "connected to", r""),
    "read_text": (_PATH, -1, "", "read as a file", r""),
    "read_bytes": (_PATH, -1, "", "read as a file", r""),
    "write_text": (_PATH, -1, "", "written as a file", r""),
    "write_bytes": (_PATH, -1, "", "written as a file", r""),
    "unlink": (_PATH, -1, "", "deleted", r""),
    "runcode": (_EXEC, 0, "code", "executed as Python", r""),
    "run_cell": (_EXEC, 0, "raw_cell", "executed as Python", r""),
    "exec_command": (_CMD, 0, "command", "run by a shell", r""),
    "exec_run": (_CMD, 0, "cmd", "run in a container", r"container"),
    **dict.fromkeys(
        ("update_settings", "set_settings", "update_config", "set_config", "update_configuration"),
        (_DYN, -3, "", "merged into the settings", r""),
    ),
    "recv_pyobj": (_DES, -1, "", "received and unpickled", r""),
}
"""Argument -1 is the object that the method is called on, -2 whichever argument is untrusted, -3 the last."""

SHELL_ONLY: Final = frozenset({"subprocess.run", "subprocess.call", "subprocess.check_call", "subprocess.check_output",
                               "subprocess.Popen", "asyncio.create_subprocess_exec"})  # fmt: skip

UNSAFE_YAML: Final = re.compile(r"(Unsafe|Full|^|\.|C)Loader$")
SAFE_YAML: Final = re.compile(r"(?<![Uu]n)[Ss]afe|BaseLoader")
"""Not the full loader: before PyYAML 5.4 it ran code, and a library does not choose its users' version."""

# Sources

REQUEST_ATTRIBUTES: Final = frozenset(
    (
        "args form json query query_params body data path_params match_info files headers cookies GET "
        "POST values get_json read text rel_url post query_string params stream arguments get_argument "
        "get_body_argument get_data json_body log_file_name url"
    ).split()
)
REQUEST_NAMES: Final = frozenset({"request", "req", "websocket", "ws", "http_request", "raw_request"})

DECORATORS: Final[tuple[tuple[re.Pattern[str], str], ...]] = (
    (
        re.compile(
            r"(^|\.)(tool|function_tool|kernel_function|ai_function|skill|call_tool|llm_tool|register_tool)$"
        ),
        "tool",
    ),
    (re.compile(r"(^|\.)(resource|prompt|read_resource|get_prompt)$"), "tool"),
    (
        re.compile(
            r"(^|\.)(route|get|post|put|delete|patch|head|options|api_route|websocket|websocket_route|view|expose|endpoint|api_view"
            r"|aroute|http_route|action|function_name|csrf_exempt|require_http_methods|require_POST|catch_mlflow_exception)$"
        ),
        "http",
    ),
    (
        re.compile(
            r"(^|\.)(on|on_message|message_handler|event|subscribe|consumer|listener|rpc|rpc_method)$"
        ),
        "message",
    ),
)
HTTP_OWNER: Final = re.compile(
    r"(app|api|router|routes?|blueprint|bp|server|web|mux|dtale|ns|rest)$", re.IGNORECASE
)

TOOL_BASES: Final = re.compile(r"(^|\.)\w*Tool$")
TOOL_METHODS: Final = frozenset(
    {"_run", "_arun", "run", "arun", "forward", "execute", "invoke", "__call__", "call"}
)
HANDLER_BASES: Final = re.compile(
    r"(RequestHandler|APIHandler|JupyterHandler|HTTPEndpoint|APIView|Resource|MethodView|WebSocketHandler)$"
)
HANDLER_METHODS: Final = frozenset(
    {"get", "post", "put", "delete", "patch", "head", "do_GET", "do_POST", "do_PUT", "on_message"}
)
PROMPT_CLASS: Final = re.compile(r"Prompt\w*(Template|Builder)$")
PROMPT_METHODS: Final = frozenset({"format", "aformat", "format_prompt", "format_messages", "run", "invoke"})
"""The variables of a prompt are what its users write."""
SERVICER_BASES: Final = re.compile(r"Servicer(Stub)?$")

MODEL_METHODS: Final = frozenset(
    (
        "predict apredict invoke ainvoke generate agenerate complete acomplete chat achat create "
        "completion acompletion generate_content generate_code call_llm ask run arun generate_prompt "
        "predict_and_parse apredict_and_parse prompt text_completion stream_chat structured_predict "
        "generate_response"
    ).split()
)
MODEL_RECEIVERS: Final = re.compile(
    r"llm|(^|[._])(chat_?)?model$|language_model|completions?$|openai|anthropic|messages$|gpt|claude|gemini|_chain$|(^|[._])predictor"
    r"|generation_chain|agent_executor|chat_model|lm$"
)
MODEL_NAMES: Final = re.compile(
    r"^(llm_(output|result|response|text)|model_(output|response)|completion(_text)?|tool_(input|args|call|calls|arguments)|action_input"
    r"|generated_(code|sql|text|cypher|query)|ai_message|assistant_message)$"
)
PARSER_BASES: Final = re.compile(r"(OutputParser|ToolParser)$")

REMOTE_CALLS: Final = re.compile(
    r"^(requests\.(get|post|request)|httpx\.(get|post|request)|urllib\.request\.(urlopen|urlretrieve)|wget\.download"
    r"|huggingface_hub\.(hf_hub_download|snapshot_download|cached_download)|(transformers\.utils\.)?cached_file|hf_hub_download|snapshot_download"
    r"|torch\.hub\.download_url_to_file|download_url|gdown\.download)$"
)
MESSAGE_METHODS: Final = frozenset(
    (
        "recv recv_string recv_json recv_multipart receive receive_text receive_json receive_bytes "
        "recvfrom brpop blpop lpop"
    ).split()
)

TELLING: Final = frozenset("debug info warning warn error exception critical log print".split())
"""Methods whose words are for people."""

# What makes a value harmless

CLEAN_CALLS: Final = frozenset(
    (
        "int float bool len hash id isinstance issubclass type ord hex oct bin round abs sum min max "
        "range enumerate_ callable hasattr uuid.UUID UUID os.path.exists os.path.isfile os.path.isdir "
        "os.path.getsize os.path.getmtime os.stat hashlib.sha256 hashlib.md5 hashlib.sha1 "
        "ast.literal_eval literal_eval secrets.token_hex uuid.uuid4 uuid4 time.time logging.getLogger "
        "print warnings.warn datetime.datetime.now inspect.signature inspect.getsource "
        "inspect.getmembers os.getcwd os.getpid tempfile.mkdtemp tempfile.NamedTemporaryFile "
        "tempfile.TemporaryDirectory tempfile.mkstemp secrets.token_urlsafe threading.Lock asyncio.Lock"
    ).split()
)
CLEAN_METHODS: Final = frozenset(
    (
        "exists is_file is_dir isdigit isalnum hexdigest startswith endswith count index find info debug "
        "warning error exception critical log is_absolute stat tell seek close append_ items_ bit_length "
        "is_alive done cancelled fileno"
    ).split()
)
NAME_ONLY: Final = frozenset(
    {
        "os.path.basename",
        "secure_filename",
        "werkzeug.utils.secure_filename",
        "ntpath.basename",
        "posixpath.basename",
    }
)
BAGS: Final = ("flask.g.", "flask.current_app.", "quart.g.", "quart.current_app.")
"""Objects of a framework in which programs keep objects of their own."""
NAME_ATTRIBUTES: Final = frozenset({"name", "stem", "suffix", "suffixes"})
SAFE_JOINS: Final = frozenset(
    {
        "werkzeug.utils.safe_join",
        "safe_join",
        "flask.safe_join",
        "werkzeug.security.safe_join",
        "django.utils._os.safe_join",
    }
)
QUOTES: Final = frozenset(
    {
        "shlex.quote",
        "pipes.quote",
        "shlex_quote",
        "quote",
        "urllib.parse.quote",
        "urllib.parse.quote_plus",
        "re.escape",
    }
)
RESOLVERS: Final = frozenset({"os.path.realpath", "os.path.abspath", "os.path.normpath"})
RESOLVING: Final = frozenset({"resolve", "absolute"})
JOINERS: Final = frozenset(
    {"os.path.join", "posixpath.join", "ntpath.join", "pathlib.Path", "pathlib.PurePath", "Path"}
)
HOST_PARTS: Final = frozenset({"host", "hostname", "netloc", "domain"})

# Guards

VALIDATOR_NAME: Final = re.compile(
    r"valid|saniti[sz]|(^|_)(check|verify|ensure|assert|guard|authori[sz]e|permit|restrict|enforce|forbid|reject|scan|vet|confine|contain)"
    r"|(^|_)is_(safe|allowed|permitted|trusted|within|in|inside|sub|relative|public|local)|safe_|_safe|allow|whitelist|within|denied|disallow",
    re.IGNORECASE,
)
DOMAIN_CHECKS: Final = frozenset({"validators.domain"})
"""Predicates that are true of a public domain's name alone, of no address inside and of no whole URL."""
NO_VALIDATOR: Final = re.compile(
    r"(^|_)(exists?|isfile|isdir|check_(imports?|call|output|requirements?|version|installed|available|exists?|is_fitted|array|min_version)"
    r"|is_available|validate_default|scan(dir|_iter)?|is_(instance|url|file|dir|remote|local_file|none|empty|str|string|list|dict))$",
    re.IGNORECASE,
)
GATE_NAME: Final = re.compile(
    r"allow|dangerous|unsafe|trust|opt_?in|insecure|permit|enable|acknowledge|consent|i_know|confirm",
    re.IGNORECASE,
)
INTEGRITY_NAME: Final = re.compile(r"hash|digest|sha\d|sha_|md5|hmac|signature|checksum", re.IGNORECASE)
ABORTS: Final = frozenset(
    {
        "sys.exit",
        "os._exit",
        "exit",
        "quit",
        "abort",
        "flask.abort",
        "pytest.skip",
        "fail",
        "self.fail",
        "self.send_error",
    }
)

ACCEPTED: Final[dict[str, frozenset[str]]] = {
    "code-execution": frozenset({"allow", "validator", "gate", "regex", "typed"}),
    "command-execution": frozenset({"allow", "validator", "gate", "regex", "typed", "dash"}),
    "unsafe-deserialisation": frozenset({"validator", "gate", "integrity", "allow"}),
    "template-injection": frozenset({"validator", "gate", "allow"}),
    "query-injection": frozenset({"validator", "gate", "allow", "regex", "typed"}),
    "path-traversal": frozenset({"contain", "dotdot", "allow", "validator", "gate", "regex", "typed"}),
    "archive-extraction": frozenset({"contain", "dotdot", "validator", "gate", "integrity", "allow"}),
    "request-forgery": frozenset({"host", "allow", "prefix", "validator", "gate", "regex", "typed"}),
    "xml-entities": frozenset({"validator", "gate"}),
    "dynamic-dispatch": frozenset(
        {"allow", "validator", "gate", "regex", "typed", "prefix", "deny", "contain", "mark"}
    ),
    "remote-code-trust": frozenset({"gate", "validator"}),
}
"""The kinds of guards that keep a weakness away."""
