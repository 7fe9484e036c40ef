"""What the providers' APIs answer, in their form: chat completions, Responses, Messages; errors of both.

The answers are made up: the same ten sentences, or the smallest value that a schema allows. They claim no
finding, so that they fit any report.
"""

import json
from typing import Any, Literal

Api = Literal["chat", "responses", "messages"]
Stop = Literal["stop", "length", "refusal", "filter"]

STEPS = (
    "The frontal projection, the rotation and the exposure are judged before anything else.",
    "No tube, line or other device is seen over the neck, the chest or the upper abdomen.",
    "The heart is normal in size, and the mediastinum has a normal contour.",
    "The trachea is midline.",
    "Both lungs are clear from the apex to the base.",
    "The costophrenic angles are sharp, so there is no pleural effusion.",
    "There is no pneumothorax at either apex.",
    "The pulmonary vessels are of normal calibre.",
    "The ribs, the clavicles and the visible spine are intact.",
    "Synthesis: this is a normal chest.",
)
REPORT = "Findings: The film was read.\nImpression: As described."
THINKING = "First the projection, then region after region."
_ERROR_TYPES = {400: "invalid_request_error", 401: "authentication_error", 402: "billing_error"}
_ERROR_TYPES |= {403: "permission_error", 404: "not_found_error", 413: "request_too_large"}
_ERROR_TYPES |= {429: "rate_limit_error", 500: "api_error", 529: "overloaded_error"}


def steps_json(**others: str) -> str:
    """The ten sentences as the object that teachers are asked for."""
    return json.dumps({f"step_{number:02}": text for number, text in enumerate(STEPS, 1)} | others)


def numbered() -> str:
    """The ten sentences as a server without constrained decoding writes them."""
    return "\n".join(f"{number}. {text}" for number, text in enumerate(STEPS, 1))


def instance(schema: dict[str, Any]) -> Any:
    """A value that a JSON Schema allows: the ten sentences where it asks for steps."""
    if "enum" in schema:
        return schema["enum"][0]
    if "const" in schema:
        return schema["const"]
    match schema.get("type"):
        case "object":
            return {name: _named(name, part) for name, part in schema.get("properties", {}).items()}
        case "array":
            return [instance(schema["items"])] * schema.get("minItems", 0)
        case "integer" | "number":
            return 0
        case _:
            return "text"


def _named(name: str, schema: dict[str, Any]) -> Any:
    if name.startswith("step_"):
        return STEPS[int(name[5:]) - 1]
    return REPORT if name == "report" else instance(schema)


def reply(api: Api, text: str, *, stop: Stop = "stop", model: str = "test-model", number: int = 1) -> dict[str, Any]:
    """A whole response body, with 1,000 input and 200 output tokens, 50 of them reasoning."""
    return _REPLY[api](text, stop, model, number)


def _chat(text: str, stop: Stop, model: str, number: int) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": text, "refusal": None, "reasoning_content": THINKING}
    if stop == "refusal":
        message |= {"content": None, "refusal": "I cannot help with that."}
    finish = {"length": "length", "filter": "content_filter"}.get(stop, "stop")
    return {
        "id": f"chatcmpl-{number}",
        "object": "chat.completion",
        "created": 1_790_000_000,
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": finish, "logprobs": None}],
        "usage": {
            "prompt_tokens": 1000,
            "completion_tokens": 200,
            "total_tokens": 1200,
            "prompt_tokens_details": {"cached_tokens": 100},
            "completion_tokens_details": {"reasoning_tokens": 50},
        },
    }


def _responses(text: str, stop: Stop, model: str, number: int) -> dict[str, Any]:
    content: dict[str, Any] = {"type": "output_text", "text": text, "annotations": []}
    if stop == "refusal":
        content = {"type": "refusal", "refusal": "I cannot help with that."}
    cut = {"length": "max_output_tokens", "filter": "content_filter"}.get(stop)
    return {
        "id": f"resp_{number}",
        "object": "response",
        "created_at": 1_790_000_000,
        "model": model,
        "status": "incomplete" if cut else "completed",
        "incomplete_details": {"reason": cut} if cut else None,
        "error": None,
        "output": [
            {"type": "reasoning", "id": f"rs_{number}", "summary": [{"type": "summary_text", "text": THINKING}]},
            {
                "type": "message",
                "id": f"msg_{number}",
                "role": "assistant",
                "status": "completed",
                "content": [content],
            },
        ],
        "store": False,
        "usage": {
            "input_tokens": 1000,
            "input_tokens_details": {"cached_tokens": 100},
            "output_tokens": 200,
            "output_tokens_details": {"reasoning_tokens": 50},
            "total_tokens": 1200,
        },
    }


def _messages(text: str, stop: Stop, model: str, number: int) -> dict[str, Any]:
    reasons = {"length": "max_tokens", "refusal": "refusal", "filter": "refusal"}
    content = [{"type": "thinking", "thinking": THINKING, "signature": "c2ln"}, {"type": "text", "text": text}]
    return {
        "id": f"msg_{number}",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [] if stop in ("refusal", "filter") else content,
        "stop_reason": reasons.get(stop, "end_turn"),
        "stop_sequence": None,
        "stop_details": {"type": "refusal", "category": "reasoning_extraction"} if stop == "refusal" else None,
        "usage": {
            "input_tokens": 900,
            "cache_read_input_tokens": 100,
            "cache_creation_input_tokens": 0,
            "output_tokens": 200,
        },
    }


_REPLY = {"chat": _chat, "responses": _responses, "messages": _messages}


def error(api: Api, status: int, message: str, *, code: str | None = None, request_id: str = "req_1") -> dict[str, Any]:
    """An error body in the provider's form."""
    kind = _ERROR_TYPES.get(status, "api_error")
    if api == "messages":
        return {"type": "error", "error": {"type": code or kind, "message": message}, "request_id": request_id}
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}
