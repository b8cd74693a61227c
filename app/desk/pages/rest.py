"""REST API of a resource, on Flask-AppBuilder's ModelRestApi, and the OpenAPI description of all of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, ClassVar, cast

import prison
from flask import Response, current_app, jsonify, request
from flask_appbuilder.api import ModelRestApi, expose
from flask_appbuilder.api.manager import OpenApi, SwaggerView
from flask_appbuilder.security.decorators import permission_name, protect

from app.desk.declare.column import KINDS, Column
from app.desk.declare.field import AddedColumn, field_cache
from app.desk.declare.report import Report, registered_reports
from app.desk.declare.resource import Resource, registered_resources
from app.desk.lists.query import LARGEST_PAGE, ListQuery, list_page, load_row, positive_number
from app.desk.pages.fab_rows import ScopedInterface
from app.desk.records.writing import delete_row, write_row
from app.kernel import access
from app.kernel.db import stable_name, transaction
from app.kernel.errors import Forbidden, Invalid, Missing, NotSignedIn, Refused, Unreadable
from app.kernel.workflow import Move, MoveQuestion, move_questions, press_move

_OPERATORS = {"eq": "is", "rel_o_m": "is", "gt": "from", "lt": "to"}
_TYPES = {
    "str": "string",
    "int": "integer",
    "bool": "boolean",
    "date": "string",
    "time": "string",
    "datetime": "string",
}


class Api(ModelRestApi):
    """Endpoints for rows and moves. A refusal is an exception, which becomes the common JSON error."""

    resource: ClassVar[Resource]
    method_permission_name: ClassVar[dict[str, str]] = {
        "get_list": "read",
        "get": "read",
        "info": "read",
        "post": "add",
        "put": "edit",
        "delete": "delete",
    }
    responses: ClassVar[dict[str, Any]] = {}  # one Error component instead of a copy for each code

    def _init_properties(self) -> None:
        """Do not derive columns from the table: only declared columns are sent."""

    def _init_model_schemas(self) -> None:
        """Do not create marshmallow schemas: columns declare their own."""

    def add_apispec_components(self, api_spec: Any) -> None:
        """Do nothing: `Docs` describes the API from the declarations."""

    # --- reading ---

    @expose("/", methods=["GET"])
    @protect()
    @permission_name("get")
    def get_list(self) -> Response:
        """Rows, searched, filtered, ordered and paged."""
        asked = _query_from_request()
        page = list_page(self.resource, asked, exactly=True)
        result = _as_json(page.rows, page.columns)
        return jsonify(
            count=page.count, ids=[row.id for row in page.rows], page=page.number, page_size=asked.size, result=result
        )

    @expose("/<int:pk>", methods=["GET"])
    @protect()
    @permission_name("get")
    def get(self, pk: int) -> Response:
        """One row."""
        return self._row_response(load_row(self.resource, pk))

    @expose("/_info", methods=["GET"])
    @protect()
    @permission_name("info")
    def info(self) -> Response:
        """What may be read, written and asked for here."""
        who, it = access.actor(), self.resource
        may = [verb for verb in it.verbs if who.may(it.noun, verb)]
        named = {
            name: [each.path for each in getattr(it, name)]
            for name in ("list", "show", "add", "edit", "search", "filters")
        }
        return jsonify(permissions=may, states=it.noun.states, **named)

    # --- writing ---

    @expose("/", methods=["POST"])
    @protect()
    @permission_name("post")
    def post(self) -> Response:
        """Add a row."""
        given = _json_body()
        _require_known_fields(given.keys() - self._other_parameters, self.resource.add)
        row = self.resource.noun()
        write_row(row, self.resource.add, given)
        return self._row_response(row, 201)

    @expose("/<int:pk>", methods=["PUT"])
    @protect()
    @permission_name("put")
    def put(self, pk: int) -> Response:
        """Change the fields that are sent. With `version`, only if nobody else changed it since."""
        given = _json_body()
        row = access.find_visible(self.resource.noun, pk)
        _require_known_fields(given.keys() - {"version"} - self._other_parameters, self.resource.edit)
        write_row(row, [each for each in self.resource.edit if each.path in given], given)
        return self._row_response(row)

    @expose("/<int:pk>", methods=["DELETE"])
    @protect()
    @permission_name("delete")
    def delete(self, pk: int) -> Response:
        """Remove a row that nothing refers to."""
        row = access.find_visible(self.resource.noun, pk)
        delete_row(row, request.args)
        return jsonify(id=pk)

    @property
    def _other_parameters(self) -> set[str]:
        """The parameters beside the columns."""
        return {"sure"} if self.resource.strands else set()

    # --- responses ---

    def _row_response(self, row: Any, status: int = 200) -> Response:
        mine = self.resource.visible_shape
        (result,) = _as_json([row], {each.path: each for each in [*mine.list, *mine.show]}.values())
        response = jsonify(id=row.id, result=result)
        response.status_code = status
        return response

    def response_403(self) -> Response:
        raise Forbidden("You don’t have permission to do this.")

    def response_401(self) -> Response:
        raise NotSignedIn("Sign in to continue.")


def _as_json(rows: Iterable[Any], columns: Iterable[Column]) -> list[dict[str, Any]]:
    open = [(each.path, each.json) for each in columns if not each.secret]
    return [{"id": row.id, "version": row.version} | {path: json(row) for path, json in open} for row in rows]


def api_view_of(resource: Resource) -> type[Api]:
    noun = resource.noun
    pressable = {name: it for name, it in resource.moves.items() if it.by}
    body: dict[str, Any] = {
        "resource": resource,
        "datamodel": ScopedInterface(noun),
        "resource_name": resource.name,
        "class_permission_name": stable_name(noun),
        "base_permissions": [f"can_{verb}" for verb in resource.verbs],
        "openapi_spec_tag": resource.label,
        "include_route_methods": _routes(resource) | {f"move_{name}" for name in pressable},
        "method_permission_name": Api.method_permission_name | {f"move_{name}": name for name in pressable},
    }
    body |= {f"move_{name}": _endpoint(it) for name, it in pressable.items()}
    return type(f"{stable_name(noun)}Api", (Api,), body)


def _routes(resource: Resource) -> set[str]:
    reading = {"get_list", "get", "info"}
    return reading | {
        route for route, verb in (("post", "add"), ("put", "edit"), ("delete", "delete")) if verb in resource.verbs
    }


def _endpoint(move: Move) -> Callable[..., Response]:
    def press_it(self: Api, pk: int) -> Response:
        row = access.find_visible(self.resource.noun, pk)
        given = _json_body() if request.data else {}
        with transaction():
            press_move(row, move.name, given)
            access.require_in_scope(row)
        return self._row_response(row)

    # Flask-AppBuilder names the permission and the endpoint after the function.
    press_it.__name__ = f"move_{move.name}"
    press_it.__doc__ = move.does
    return cast(
        Callable[..., Response],
        expose(f"/<int:pk>/{move.name}", methods=["POST"])(protect()(permission_name(move.name)(press_it))),
    )


def _json_body() -> dict[str, Any]:
    given = request.get_json(silent=True)
    if not isinstance(given, dict):
        raise Unreadable("Send a JSON object, with Content-Type: application/json.")
    return given


def _require_known_fields(given: Any, columns: Sequence[Column]) -> None:
    unknown = set(given) - {each.path for each in columns}
    if unknown:
        raise Invalid.for_fields(dict.fromkeys(sorted(unknown), "Unknown field, or one that can’t be edited here."))


def _query_from_request() -> ListQuery:
    """Parse the same parameters as the list page, or Flask-AppBuilder's rison in `q`."""
    text = request.args.get("q", "")
    if not text.startswith(("(", "{", "!")):
        return ListQuery.parse(request.args)
    try:
        given = json.loads(text) if text.startswith("{") else prison.loads(text)
        filters = tuple(_parse_filter(each) for each in given.get("filters", []))
        order, direction = str(given.get("order_column", "")), given.get("order_direction", "asc")
    except Refused:
        raise
    except Exception:  # noqa: BLE001  # prison raises all kinds of exceptions
        raise Unreadable("“q” isn’t valid: send rison or JSON.") from None
    size = min(positive_number(given, "page_size", 25), LARGEST_PAGE) if "page_size" in given else 25
    page = int(str(given["page"])) if str(given.get("page", "0")).isdecimal() and "page" in given else 0
    if "page" in given and (not str(given["page"]).isdecimal() or page > 10**6):
        raise Unreadable("“page” must be 0 or a positive whole number.")
    return ListQuery("", filters, f"-{order}" if order and direction == "desc" else order, page, size)


def _parse_filter(each: Mapping[str, Any]) -> tuple[str, str, str]:
    if each["opr"] not in _OPERATORS:
        raise Unreadable(f"Use one of these filter operators: {', '.join(_OPERATORS)}, not {str(each['opr'])[:20]!r}.")
    return str(each["col"]), _OPERATORS[each["opr"]], str(each["value"])


# --- OpenAPI ----------------------------------------------------------------------------------------------------------


class Docs(OpenApi):
    """The OpenAPI description, cached in the process, because building it takes more than a second."""

    class_permission_name = "OpenApi"

    @expose("/<version>/_openapi", methods=["GET"])
    @protect()
    @permission_name("get")
    def get(self, version: str) -> Response:
        """The OpenAPI description."""
        if version != "v1":
            raise Missing
        return Response(openapi_json(current_app.config["APP_NAME"]), mimetype="application/json")

    response_403, response_401 = Api.response_403, Api.response_401


class DocsPage(SwaggerView):
    """Swagger UI, with its files served by us."""

    class_permission_name = "SwaggerView"
    route_base = "/swagger"


def openapi_json(name: str) -> str:
    """Return the complete description, the same for every user: access is checked when data is requested."""
    return _openapi_json(name, tuple(each for its in field_cache.value.values() for each in its))


@lru_cache(maxsize=2)
def _openapi_json(name: str, added: Sequence[AddedColumn]) -> str:
    paths: dict[str, Any] = {"/api/v1/security/login": _SIGN_IN, "/api/v1/security/refresh": _REFRESH}
    schemas: dict[str, Any] = {"Error": _ERROR}
    for resource in registered_resources():
        schemas |= _schemas(resource)
        paths |= _paths(resource)
    for report in registered_reports():
        paths[f"/api/v1/report/{report.name}"] = {"get": _report_operation(report)}
    jwt = {"jwt": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}}
    info = {
        "title": name,
        "version": "v1",
        "description": "The same fields, records and actions as in the app. Sign in first to get a token.",
    }
    return json.dumps(
        {
            "openapi": "3.0.3",
            "info": info,
            "paths": paths,
            "components": {"schemas": schemas, "securitySchemes": jwt},
            "security": [{"jwt": []}],
        }
    )


_FIELDS = {"type": "object", "additionalProperties": {"type": "string"}}
_PROBLEM = {
    "type": "object",
    "properties": {"code": {"type": "string"}, "message": {"type": "string"}, "fields": _FIELDS},
}
_ERROR = {"type": "object", "properties": {"error": _PROBLEM}}
_CREDENTIALS = {name: {"type": "string"} for name in ("username", "password")} | {
    "provider": {"type": "string", "enum": ["db"]},
    "refresh": {"type": "boolean"},
    "code": {"type": "string", "description": "Two-factor authentication code, if it is turned on."},
}
_TOKENS = {"type": "object", "properties": {"access_token": {"type": "string"}, "refresh_token": {"type": "string"}}}


def _json(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def _operation(
    tag: str,
    summary: str,
    answer: Mapping[str, Any],
    *,
    body: Mapping[str, Any] | None = None,
    status: str = "200",
    **rest: Any,
) -> dict[str, Any]:
    refusal = {
        "description": "Refused. The message explains why.",
        "content": _json({"$ref": "#/components/schemas/Error"}),
    }
    answers = {status: {"description": "Done.", "content": _json(answer)}, "default": refusal}
    return (
        {"tags": [tag], "summary": summary, "responses": answers}
        | ({"requestBody": {"required": True, "content": _json(body)}} if body else {})
        | rest
    )


_SIGN_IN = {
    "post": _operation(
        "Security", "Sign in to get a token", _TOKENS, body={"type": "object", "properties": _CREDENTIALS}, security=[]
    )
}

_REFRESH = {"post": _operation("Security", "Exchange a refresh token for two new tokens; it works once", _TOKENS)}


_SURE = {
    "type": "boolean",
    "description": (
        "Confirms a change that affects other records. "
        "Without it, the request is refused with 409 and `fields` lists those records by number."
    ),
}


def _schemas(it: Resource) -> dict[str, Any]:
    def written(columns: Sequence[Column]) -> dict[str, Any]:
        properties = {
            each.path: {"type": "integer", "title": each.label} if each.kind == "relation" else each.schema
            for each in columns
        }
        return {"type": "object", "properties": properties | ({"sure": _SURE} if it.strands else {})}

    shape = it.full_shape
    shown = {each.path: each.schema for each in [*shape.list, *shape.show] if not each.secret}
    always = {"id": KINDS["number"].schema, "version": KINDS["number"].schema}
    return {
        stable_name(it.noun): {"type": "object", "properties": always | shown},
        f"{stable_name(it.noun)}.post": written(shape.add),
        f"{stable_name(it.noun)}.put": written(shape.edit),
    }


def _paths(it: Resource) -> dict[str, Any]:
    name, tag, base = stable_name(it.noun), it.label, f"/api/v1/{it.name}"
    one = {
        "type": "object",
        "properties": {"id": {"type": "integer"}, "result": {"$ref": f"#/components/schemas/{name}"}},
    }
    many = {
        "type": "object",
        "properties": {
            "count": {"type": "integer"},
            "result": {"type": "array", "items": {"$ref": f"#/components/schemas/{name}"}},
        },
    }
    pk = [{"name": "pk", "in": "path", "required": True, "schema": {"type": "integer"}}]
    collection = {"get": _operation(tag, f"List {it.plural}", many, parameters=_list_parameters(it))}
    single = {"get": _operation(tag, f"Get {_with_article(it.singular)}", one, parameters=pk)}
    if it.full_shape.add:
        collection["post"] = _operation(
            tag,
            f"Create {_with_article(it.singular)}",
            one,
            body={"$ref": f"#/components/schemas/{name}.post"},
            status="201",
        )
    if it.full_shape.edit:
        single["put"] = _operation(
            tag,
            f"Update {_with_article(it.singular)}",
            one,
            body={"$ref": f"#/components/schemas/{name}.put"},
            parameters=pk,
        )
    if "delete" in it.verbs:
        sure = [{"name": "sure", "in": "query", "required": False, "schema": _SURE}] if it.strands else []
        single["delete"] = _operation(
            tag, f"Delete {_with_article(it.singular)}", {"type": "object"}, parameters=[*pk, *sure]
        )
    moves = {f"{base}/{{pk}}/{m.name}": {"post": _move_operation(tag, m, one, pk)} for m in it.moves.values() if m.by}
    return {f"{base}/": collection, f"{base}/{{pk}}": single} | moves


def _with_article(one: str) -> str:
    return f"{'an' if one[0] in 'aeio' else 'a'} {one}"


def _list_parameters(it: Resource) -> list[dict[str, Any]]:
    names = ["q", "order", "page", "size", *[f"f.{each.path}" for each in it.full_shape.filters]]
    return [{"name": name, "in": "query", "required": False, "schema": {"type": "string"}} for name in names]


def _move_operation(tag: str, move: Move, answer: Mapping[str, Any], parameters: Any) -> dict[str, Any]:
    asks = {each.name: _question(each) for each in move_questions(move.asks)} if move.asks else {}
    body = {"type": "object", "properties": asks} if asks else None
    summary = f"{move.label}: {' or '.join(move.sources)} → {move.to or 'unchanged'}"
    return _operation(tag, summary, answer, body=body, parameters=parameters, description=move.does)


def _report_operation(it: Report) -> dict[str, Any]:
    asks = [
        {
            "name": each.name,
            "in": "query",
            "required": False,
            "description": each.help,
            "schema": {"type": _TYPES.get(each.kind.__name__, "string"), "title": each.label},
        }
        for each in it.questions
    ]
    row = {"type": "object", "properties": {each.name: each.schema for each in it.columns}}
    totals = {"type": "object", "description": "Totals by currency.", "additionalProperties": {"type": "object"}}
    verdict = {
        "type": "object",
        "nullable": True,
        "properties": {"good": {"type": "boolean"}, "words": {"type": "string"}},
    }
    answer = {
        "count": {"type": "integer"},
        "result": {"type": "array", "items": row},
        "totals": totals,
        "verdict": verdict,
    }
    return _operation(
        f"{it.pack}: reports", it.label, {"type": "object", "properties": answer}, parameters=asks, description=it.note
    )


def _question(question: MoveQuestion) -> dict[str, Any]:
    # Without the options, which are data, while this description is cached.
    return {"type": _TYPES.get(question.kind.__name__, "string"), "title": question.label, "description": question.help}
