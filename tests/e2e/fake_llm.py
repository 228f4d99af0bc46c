"""Scripted servers of language models on a loopback port: what a real one says, and the faults that none shows on demand.

Which fault is asked for stands in the prompt: "[overflow] …". Bytes are written as they are, so that a test decides where
they are cut, how lines end and when the connection closes.
"""

import json
import socket
import threading
import time

WORDS = ["One", " two", " three", " four", " five", " six"]


class Fake:
    """Base: accepts, reads requests, hands each to answer(); keeps every request in .seen."""

    def __init__(self, host="127.0.0.1", tls=None, key=None, port=0):
        self.socket = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=512)
        self.port = self.socket.getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://{'[' + host + ']' if ':' in host else host}:{self.port}"
        self.tls = tls
        self.key = key
        self.seen = []
        threading.Thread(target=self.accept, daemon=True).start()

    def close(self):
        self.socket.close()

    def accept(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # each piece goes out when it is written
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        try:
            if self.tls:
                connection = self.tls.wrap_socket(connection, server_side=True)
            with connection, connection.makefile("rb") as reader:
                while self.one(Writer(connection), reader):
                    pass
        except (OSError, ValueError):
            pass

    def one(self, out, reader):
        line = reader.readline().decode()
        if not line:
            return False
        method, path, _ = line.split()
        headers = {}
        while (line := reader.readline().decode().strip()):
            name, value = line.split(":", 1)
            headers[name.lower()] = value.strip()
        body = reader.read(int(headers.get("content-length", 0)))
        message = json.loads(body) if body else {}
        self.seen.append((method, path, message, headers))
        if self.key and headers.get("authorization") != "Bearer " + self.key:
            return out.document({"error": {"message": f"Incorrect API key provided: {headers.get('authorization')}",
                                           "type": "invalid_request_error"}}, 401)
        return self.answer(out, method, path, message) is not False

    def prompts(self):
        return [message for _, path, message, _ in self.seen if self.fault_of(message)]

    @staticmethod
    def text_of(message):
        return message.get("prompt") or "".join(m["content"] for m in message.get("messages", []))

    @classmethod
    def fault_of(cls, message):
        text = cls.text_of(message)
        return text[1:text.index("]")] if isinstance(text, str) and text.startswith("[") else ""

    def answer(self, out, method, path, message):
        raise NotImplementedError

    def common_fault(self, out, fault):
        """Faults below any dialect. None: not one of them."""
        if fault == "close-at-once":
            return False
        if fault == "no-http":
            out.raw(b"+OK POP3 ready\r\n")
            return False
        if fault == "busy":
            return out.document({"error": "server busy, please try again"}, 503, "Retry-After: 7\r\n")
        if fault == "too-many":
            return out.document({"error": {"message": "Rate limit reached", "type": "rate_limit_error"}}, 429,
                                "Retry-After: 2\r\n")
        if fault == "hang":
            time.sleep(20)
            return False
        return None


class Writer:
    def __init__(self, connection):
        self.connection = connection

    def raw(self, data):
        self.connection.sendall(data)

    def document(self, value, status=200, headers=""):
        body = json.dumps(value).encode()
        self.raw(f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n{headers}Content-Length: {len(body)}\r\n\r\n"
                 .encode() + body)
        return True

    def begin(self, kind):
        self.raw(f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n".encode())

    def chunk(self, data):
        self.raw(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    def end(self):
        self.raw(b"0\r\n\r\n")
        return True


class Ollama(Fake):
    models = ({"name": "tiny:latest", "model": "tiny:latest", "size": 183879, "digest": "abc", "details": {}},
              {"name": "big-cloud", "model": "big-cloud", "size": 384, "remote_model": "big", "remote_host": "https://ollama.com:443"})
    cached = None
    pause = 0.0  # seconds before each word; without one, the times it tells may be longer than it took
    tells_memory = False
    in_memory = False  # before anybody asks; a model that is told to leave is seen in /api/ps for so many looks more
    leaves_after = 2

    def running(self):
        """Rows of /api/ps, from what was asked of it so far."""
        held, looks = self.in_memory, 0
        for _, path, message, _ in self.seen[:-1]:
            if path in ("/api/generate", "/api/chat"):
                leaving = message.get("keep_alive") == 0 and not self.text_of(message)
                looks = self.leaves_after if leaving and held else 0
                held = not leaving
            looks -= path == "/api/ps" and looks > 0
        return [{"name": "tiny:latest", "model": "tiny:latest", "size": 183879}] if held or looks > 0 else []

    def answer(self, out, method, path, message):
        if path == "/api/version":
            return out.document({"version": "0.99.1"})
        if path == "/api/tags":
            return out.document({"models": list(self.models)})
        if path == "/api/ps":
            return out.document({"models": self.running() if self.tells_memory else []})
        if path == "/api/show":
            return out.document({"details": {"quantization_level": "Q8_0"},
                                 "model_info": {"general.architecture": "llama", "general.parameter_count": 160064,
                                                "llama.context_length": 2048}})
        if path not in ("/api/generate", "/api/chat"):
            return out.document({"error": "not found"}, 404)
        if not self.text_of(message):
            return out.document({"model": "tiny", "done": True, "done_reason": "load"})
        fault = self.fault_of(message)
        common = self.common_fault(out, fault)
        if common is not None:
            return common
        if fault == "overflow":
            return out.document({"error": "the input length exceeds the context length"}, 400)
        return self.stream(out, fault, path == "/api/chat")

    def stream(self, out, fault, chat):
        out.begin("application/x-ndjson")
        for number, word in enumerate(WORDS):
            time.sleep(self.pause)
            if fault == "error-in-stream" and number == 3:
                out.chunk(b'{"error":"an error was encountered while running the model: CUDA out of memory"}\n')
                return out.end()
            if fault == "closes-in-mid-stream" and number == 3:
                return False
            if fault == "ends-in-mid-stream" and number == 3:
                return out.end()
            if fault == "rubbish" and number == 3:
                out.chunk(b"<html>502 Bad Gateway</html>\n")
            piece = {"message": {"role": "assistant", "content": word}} if chat else {"response": word}
            if fault != "no-text":
                self.line(out, {"model": "tiny", **piece, "done": False}, fault)
        last = {"model": "tiny", "response": "", "done": True, "done_reason": "length", "total_duration": 9_000_000,
                "load_duration": 1_000_000, "prompt_eval_count": 20, "prompt_eval_duration": 2_000_000,
                "eval_count": len(WORDS), "eval_duration": 5_000_000, "context": [1] * 4000}
        if fault == "cached":
            last["prompt_eval_cached_count"] = 18
        self.line(out, last, fault)
        return out.end()

    @staticmethod
    def line(out, value, fault):
        data = json.dumps(value).encode() + (b"\r\n" if fault == "crlf" else b"\n")
        if fault == "cut-anywhere" and len(data) < 200:
            for byte in data:
                out.chunk(bytes([byte]))
        elif fault == "too-long" and value["done"]:
            out.chunk(data[:-2] + b" " * (9 << 20) + b"}\n")
        else:
            out.chunk(data)


class OpenAi(Fake):
    """Also llama-server's native interface, which shares the transport: /completion, /health and /props."""

    strict = False  # refuses stream_options, as servers do that know no field but the oldest
    strict_inside = False  # refuses what it does not know inside of it, and names it by where it stands
    tells = False
    counts_pieces = False  # tells with each piece how many tokens there were, if asked: a piece holds two, the last one three

    def answer(self, out, method, path, message):
        if path == "/v1/models":
            return out.document({"object": "list", "data": [{"id": "tiny", "max_model_len": 2048, "owned_by": "vllm"}]})
        if path == "/health":
            return out.document({"status": "ok"})
        if path == "/props":
            return out.document({"model_path": "/models/tiny.gguf", "total_slots": 4, "build_info": "b1-fake",
                                 "default_generation_settings": {"n_ctx": 2048}})
        if path not in ("/v1/chat/completions", "/v1/completions", "/completion"):
            return out.document({"error": {"message": "not found", "code": 404, "type": "not_found_error"}}, 404)
        if self.strict and "stream_options" in message:
            return out.document({"error": {"message": "stream_options: Extra inputs are not permitted"}}, 400)
        if self.strict_inside and "continuous_usage_stats" in message.get("stream_options", {}):
            return out.document({"error": {"message": "invalid value for stream_options"}}, 400)
        fault = self.fault_of(message)
        common = self.common_fault(out, fault)
        if common is not None:
            return common
        if fault == "overflow":
            return out.document({"error": {"code": 400, "message": "the request exceeds the available context size",
                                           "type": "exceed_context_size_error", "n_prompt_tokens": 9000, "n_ctx": 2048}}, 400)
        if fault == "error-under-200":
            return out.document({"object": "error", "message": "Requested token count exceeds the model's maximum context "
                                                               "length", "type": "BadRequestError", "code": 400})
        if path == "/completion":
            return self.native(out, fault, message)
        self.tells = self.counts_pieces and message.get("stream_options", {}).get("continuous_usage_stats")
        return self.stream(out, fault, path.endswith("chat/completions"))

    def native(self, out, fault, message):
        out.begin("text/event-stream")
        for processed in (15, 18, 20) if message.get("return_progress") and fault != "old" else ():
            if fault == "closes-in-prefill" and processed == 20:
                return False
            self.event(out, {"content": "", "stop": False, "tokens": [0], "tokens_predicted": 0,
                             "prompt_progress": {"total": 20, "cache": 15, "processed": processed, "time_ms": 1}}, fault)
        for number, word in enumerate(WORDS):
            if fault == "error-line" and number == 3:
                out.chunk(b'error: {"code":500,"message":"context shift is disabled","type":"server_error"}\n\n')
                return out.end()
            if fault == "closes-in-mid-stream" and number == 3:
                return False
            # The first token had no text of its own, so that the first piece holds two.
            count = {} if fault == "old" else {"tokens_predicted": 100 if fault == "kept-back" else number + 2}
            self.event(out, {"content": word, "stop": False, **count}, fault)
        drafts = {"draft_n": 9, "draft_n_accepted": 4} if fault == "drafts" else {}
        self.event(out, {"content": "", "stop": True, "stop_type": "limit", "tokens_evaluated": 20,
                         "tokens_predicted": 100 if fault == "kept-back" else len(WORDS) + 1, "truncated": fault == "context-full",
                         "timings": {"cache_n": 15, "prompt_n": 5, "prompt_ms": 0.25, "predicted_ms": 1.5, **drafts}}, fault)
        return out.end()

    def stream(self, out, fault, chat):
        out.begin("text/event-stream; charset=utf-8")
        if chat:
            self.event(out, {"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]}, fault)
        if fault == "slow-first-token":
            time.sleep(0.2)
        for number, word in enumerate(WORDS):
            if fault == "error-in-stream" and number == 3:
                self.event(out, {"error": {"message": "The model produced invalid content", "type": "server_error"}}, fault)
                out.chunk(b"data: [DONE]\n\n")
                return out.end()
            if fault == "closes-in-mid-stream" and number == 3:
                return False
            if fault == "ends-in-mid-stream" and number == 3:
                return out.end()
            if fault == "done-in-mid-stream" and number == 3:
                out.chunk(b"data: [DONE]\n\n")
                return out.end()
            if fault == "no-text":
                continue
            piece = {"delta": {"content": word}} if chat else {"text": word}
            so_far = {"usage": {"prompt_tokens": 20, "completion_tokens": 2 * number + 2}} if self.tells else {}
            self.event(out, {"choices": [{"index": 0, **piece, "finish_reason": None}], **so_far}, fault)
        self.event(out, {"choices": [{"index": 0, "delta": {}, "finish_reason": "length"}]}, fault)
        if fault != "no-usage":
            made = 2 * len(WORDS) + 1 if self.tells else len(WORDS)
            self.event(out, {"choices": [], "usage": {"prompt_tokens": 20, "completion_tokens": made,
                                                      "prompt_tokens_details": {"cached_tokens": 4}}}, fault)
        if fault != "no-done":
            out.chunk(b"data: [DONE]\n\n")
        return out.end() if fault != "closes-after-the-last" else False

    @staticmethod
    def event(out, value, fault):
        data = b"data: " + json.dumps(value).encode() + b"\n\n"
        if fault == "crlf":
            data = b": ping\r\n\r\n" + data.replace(b"\n", b"\r\n")
        if fault == "many-lines":
            data = b"event: message\n" + data.replace(b"{\"choices", b"{\ndata: \"choices")
        if fault == "cut-anywhere":
            for byte in data:
                out.chunk(bytes([byte]))
        else:
            out.chunk(data)
