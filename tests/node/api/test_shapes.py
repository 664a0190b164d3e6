"""The types of the bodies are what is answered: each decodes as one, to the last field, and encodes as it came."""

from __future__ import annotations

import msgspec
import pytest

from node.api.answers import HttpAnswer, deleted, found, put, render_fault
from node.api.batch_lines import parse, refused, render
from node.api.conditions import NO_CONDITIONS, Given
from node.api.shapes import faults, keys, streams
from node.errors import Conflict, NotFound, RequestFault, Unavailable
from node.net.messages import Answer, NothingDeleted, ReadResult, ReadResultExpiring, Unmet, Unsatisfied, Wrote
from node.operations.router import Outcome
from node.values.context import EMPTY
from node.values.version import make_version

V5 = make_version(5 << 16, 3)
NODES = ["a:1", "b:1"]


def outcome(answer: Answer) -> Outcome:
    return Outcome(answer, "b:1", EMPTY, V5)


ANSWERS: list[tuple[HttpAnswer, type]] = [
    (put(outcome(Wrote(False))), keys.Added),
    (put(outcome(Wrote(True))), keys.Updated),
    (put(outcome(Unmet(V5))), keys.Refused),
    (deleted(outcome(Wrote(True))), keys.Deleted),
    (deleted(outcome(NothingDeleted())), keys.Missing),
    (deleted(outcome(Unmet(None))), keys.Refused),
    (deleted(outcome(Unsatisfied())), keys.Unsatisfied),
    (found(NO_CONDITIONS, outcome(ReadResult(b"1.50", None, V5))), keys.Retrieved),
    (found(NO_CONDITIONS, outcome(ReadResultExpiring(b"[ ]", None, V5, 1500))), keys.Retrieved),
    (found(NO_CONDITIONS, outcome(ReadResult(None))), keys.Missing),
    (found(NO_CONDITIONS, outcome(Unsatisfied())), keys.Unsatisfied),
    (found(Given('"x"', None), outcome(ReadResult(b"1", None, V5))), keys.Refused),
    (render_fault("GET", RequestFault("Malformed key")), faults.Fault),
    (render_fault("PUT", RequestFault("Malformed key"), address="b:1", **{"causal-context": {}}), faults.KeyFault),
    (render_fault("GET", NotFound("Not found")), faults.Fault),
    (render_fault("PUT", Unavailable()), faults.Unavailable),
    (render_fault("PUT", Unavailable(unreachable=NODES)), faults.Unavailable),
    (render_fault("PUT", Unavailable(full=NODES)), faults.Unavailable),
    (render_fault("PUT", Unavailable("These nodes are too old", nodes=NODES)), faults.Unavailable),
    (render_fault("PUT", Conflict("Another view change is under way")), faults.Conflict),
    (render_fault("PUT", Conflict("The view in force is of epoch 2, not 1", epoch=2)), faults.Conflict),
    (render_fault("DELETE", Conflict("It has settled", view="a:1,b:1")), faults.Conflict),
    (render_fault("PUT", Conflict("Nodes of another cluster", foreign=NODES)), faults.Conflict),
    (render_fault("PUT", Conflict("Lost", **{"keys-at-risk": None, "unreachable": NODES})), faults.Conflict),
]


@pytest.mark.parametrize(("answer", "shape"), ANSWERS, ids=[answer.body.decode()[:60] for answer, _ in ANSWERS])
def test_shape_is_that_of_the_answer(answer: HttpAnswer, shape: type) -> None:
    assert msgspec.json.encode(msgspec.json.decode(answer.body, type=shape)) == answer.body


@pytest.mark.parametrize("shape", [faults.Fault, faults.Unavailable, faults.KeyFault, keys.Added, keys.Missing])
def test_shape_that_is_exact_has_no_other_fields(shape: type) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(b'{"error":"Key does not exist","message":"Error in GET","more":1}', type=shape)


def test_shape_of_a_line_that_is_answered() -> None:
    wrote = render(b'"a"', put(outcome(Wrote(False))))
    line = msgspec.json.decode(wrote, type=streams.BatchAnswer)
    assert (line.key, line.status, line.etag) == ("a", 201, f'"{V5.hex()}"')
    refusal = refused(RequestFault("The body did not arrive in time")).answer
    assert refusal is not None
    assert msgspec.json.decode(render(b"", refusal), type=streams.BatchAnswer).key is msgspec.UNSET


@pytest.mark.parametrize("name", [field.encode_name for field in msgspec.structs.fields(streams.BatchLine)])
def test_shape_of_a_line_has_the_fields_that_are_read(name: str) -> None:
    """None is unknown; that some do not fit each other is another fault."""
    answer = parse(b'{"op":"get","key":"a","%b":"b"}' % name.encode()).answer
    assert answer is None or b"unknown field" not in answer.body
