"""The endpoint as other processes of the machine meet it, and its calls one by one."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import contextmanager
from uuid import uuid4

import grpc
import pytest
from tests.support.connect import EngineRunner, spark_session
from tests.support.dataframes import TABLES

from mc2.client.connect.proto import base_pb2, base_pb2_grpc, relations_pb2
from mc2.client.connect.server import Endpoint
from mc2.errors import UsageError

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")


@contextmanager
def stub(endpoint: Endpoint, *, token: str | None = None, host: str = "localhost", more=()):
    credentials = grpc.local_channel_credentials()
    given = endpoint.connection.rpartition("=")[2] if token is None else token
    metadata = [("authorization", f"Bearer {given}")] if given else []
    with grpc.secure_channel(f"{host}:{endpoint.port}", credentials) as channel:
        made = base_pb2_grpc.SparkConnectServiceStub(channel)
        yield made, (*metadata, *more)


@pytest.fixture
def endpoint():
    with Endpoint.start(EngineRunner(TABLES), lambda _: None) as made:
        yield made


def version(session: str = "s") -> base_pb2.AnalyzePlanRequest:
    request = base_pb2.AnalyzePlanRequest(session_id=session)
    request.spark_version.SetInParent()
    return request


def table_plan(name: str = "ada.people") -> base_pb2.Plan:
    plan = base_pb2.Plan()
    plan.root.read.named_table.unparsed_identifier = name
    return plan


CALLS = [
    ("AnalyzePlan", version),
    ("Config", lambda: base_pb2.ConfigRequest(session_id="s")),
    ("Interrupt", lambda: base_pb2.InterruptRequest(session_id="s")),
    ("ReleaseExecute", lambda: base_pb2.ReleaseExecuteRequest(session_id="s")),
    ("ReleaseSession", lambda: base_pb2.ReleaseSessionRequest(session_id="s")),
    ("ArtifactStatus", lambda: base_pb2.ArtifactStatusesRequest(session_id="s")),
    ("AddArtifacts", lambda: iter([base_pb2.AddArtifactsRequest(session_id="s")])),
    ("ExecutePlan", lambda: base_pb2.ExecutePlanRequest(session_id="s", plan=table_plan())),
    ("ReattachExecute", lambda: base_pb2.ReattachExecuteRequest(session_id="s")),
    ("CloneSession", lambda: base_pb2.CloneSessionRequest(session_id="s")),
]


@pytest.mark.parametrize(("call", "request_of"), CALLS, ids=[c for c, _ in CALLS])
@pytest.mark.parametrize("token", ["", "0" * 64, "Bearer"])
def test_no_call_is_answered_without_the_token(endpoint, call, request_of, token):
    with stub(endpoint, token=token) as (made, metadata), pytest.raises(grpc.RpcError) as caught:
        _called(getattr(made, call), request_of(), metadata)
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED


def _called(call, request, metadata) -> None:
    answer = call(request, metadata=metadata, timeout=20)
    if hasattr(answer, "__next__"):
        next(answer)


def test_two_tokens_are_none(endpoint):
    more = (("authorization", "Bearer x"),)
    with stub(endpoint, more=more) as (made, metadata), pytest.raises(grpc.RpcError) as caught:
        made.AnalyzePlan(version(), metadata=metadata, timeout=20)
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED


def test_the_token_opens_both_loopback_addresses(endpoint):
    for host in ("127.0.0.1", "localhost"):
        with stub(endpoint, host=host) as (made, metadata):
            answer = made.AnalyzePlan(version(), metadata=metadata, timeout=20)
            assert answer.spark_version.version.startswith("4.")


def test_nobody_else_can_stand_at_the_other_loopback_address(endpoint):
    with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            other.bind(("::1", 0))
        except OSError:
            return  # no such address here, for nobody
    with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as other:
        assert _refused(lambda: other.bind(("::1", endpoint.port)))


def _refused(act) -> bool:
    try:
        act()
    except OSError:
        return True
    return False


def test_a_port_that_is_taken_at_one_address_is_not_used():
    with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as other:
        try:
            other.bind(("::1", 0))
        except OSError:
            return
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(UsageError, match="is not free at both"):
            Endpoint.start(EngineRunner(TABLES), lambda _: None, port=port)


def test_the_token_is_new_each_time_and_in_no_repr(endpoint):
    token = endpoint.connection.rpartition("=")[2]
    assert len(token) == 64
    assert token not in repr(endpoint)
    with Endpoint.start(EngineRunner(TABLES), lambda _: None) as again:
        assert again.connection.rpartition("=")[2] != token


def test_only_loopback_is_listened_at(endpoint):
    with socket.socket() as outside:
        outside.settimeout(5)
        address = socket.gethostbyname(socket.gethostname())
        if address.startswith("127."):
            return  # the machine has no other address by its name
        assert outside.connect_ex((address, endpoint.port)) != 0


def test_calls_that_do_not_exist_here_are_unimplemented(endpoint):
    with stub(endpoint) as (made, metadata), pytest.raises(grpc.RpcError) as caught:
        made.CloneSession(base_pb2.CloneSessionRequest(session_id="s"), metadata=metadata)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_artifacts_are_refused_by_name():
    from pyspark.errors import PySparkException

    with (
        spark_session(EngineRunner(TABLES)) as spark,
        pytest.raises(PySparkException, match="addArtifacts"),
    ):
        spark.addArtifact(__file__, file=True)


def test_fields_of_a_newer_client_are_refused(endpoint):
    plan = table_plan()
    plan.root.read.MergeFromString(bytes([0xFA, 0x3F, 0x01, 0x78]))  # field 1023, one byte
    request = base_pb2.AnalyzePlanRequest(session_id="s")
    request.schema.plan.CopyFrom(plan)
    with stub(endpoint) as (made, metadata), pytest.raises(grpc.RpcError) as caught:
        made.AnalyzePlan(request, metadata=metadata)
    assert "does not know" in caught.value.details()


def test_extensions_are_refused(endpoint):
    plan = base_pb2.Plan()
    plan.root.extension.type_url = "type.googleapis.com/some.Thing"
    plan.root.extension.value = b"x"
    request = base_pb2.AnalyzePlanRequest(session_id="s")
    request.schema.plan.CopyFrom(plan)
    with stub(endpoint) as (made, metadata), pytest.raises(grpc.RpcError) as caught:
        made.AnalyzePlan(request, metadata=metadata)
    assert "extension" in caught.value.details()


def test_compressed_plans_are_read(endpoint):
    import zstandard

    plan = base_pb2.Plan()
    packed = plan.compressed_operation
    packed.data = zstandard.compress(table_plan().root.SerializeToString())
    packed.op_type = base_pb2.Plan.CompressedOperation.OP_TYPE_RELATION
    request = base_pb2.AnalyzePlanRequest(session_id="s")
    request.schema.plan.CopyFrom(plan)
    with stub(endpoint) as (made, metadata):
        answer = made.AnalyzePlan(request, metadata=metadata)
        assert answer.schema.schema.struct.fields[0].name == "id"
        packed.data = b"not zstd"
        request.schema.plan.CopyFrom(plan)
        with pytest.raises(grpc.RpcError) as caught:
            made.AnalyzePlan(request, metadata=metadata)
    assert "does not decompress" in caught.value.details()


def test_a_broken_stream_is_gone_on_with(endpoint):
    request = base_pb2.ExecutePlanRequest(
        session_id="s", operation_id=str(uuid4()), plan=table_plan()
    )
    with stub(endpoint) as (made, metadata):
        whole = made.ExecutePlan(request, metadata=metadata)
        first = next(whole)
        assert first.HasField("schema")
        whole.cancel()
        again = base_pb2.ReattachExecuteRequest(
            session_id="s", operation_id=request.operation_id, last_response_id=first.response_id
        )
        rest = list(made.ReattachExecute(again, metadata=metadata))
        assert [r.WhichOneof("response_type") for r in rest] == ["arrow_batch", "result_complete"]
        made.ReleaseExecute(
            base_pb2.ReleaseExecuteRequest(
                session_id="s",
                operation_id=request.operation_id,
                release_all=base_pb2.ReleaseExecuteRequest.ReleaseAll(),
            ),
            metadata=metadata,
        )
        with pytest.raises(grpc.RpcError) as caught:
            list(made.ReattachExecute(again, metadata=metadata))
    assert "OPERATION_NOT_FOUND" in caught.value.details()


def test_an_operation_is_not_begun_twice(endpoint):
    request = base_pb2.ExecutePlanRequest(
        session_id="s", operation_id=str(uuid4()), plan=table_plan()
    )
    with stub(endpoint) as (made, metadata):
        list(made.ExecutePlan(request, metadata=metadata))
        with pytest.raises(grpc.RpcError) as caught:
            list(made.ExecutePlan(request, metadata=metadata))
    assert "runs already" in caught.value.details()


def test_a_session_of_an_earlier_endpoint_is_not_taken_for_this_one(endpoint):
    request = version()
    request.client_observed_server_side_session_id = "another"
    with stub(endpoint) as (made, metadata), pytest.raises(grpc.RpcError) as caught:
        made.AnalyzePlan(request, metadata=metadata)
    assert "SESSION_NOT_FOUND" in caught.value.details()


def test_an_interrupt_frees_the_reader_at_once():
    from pyspark.errors import PySparkException

    begun = threading.Event()

    def hold(stopped) -> None:
        begun.set()
        while not stopped():
            time.sleep(0.01)

    with spark_session(EngineRunner(TABLES, hold=hold)) as spark:
        failures: list[BaseException] = []

        def collect() -> None:
            spark.addTag("slow")
            try:
                spark.table("ada.people").collect()
            except PySparkException as error:
                failures.append(error)

        thread = threading.Thread(target=collect, daemon=True)
        thread.start()
        assert begun.wait(30)
        assert spark.interruptTag("another") == []
        assert len(spark.interruptTag("slow")) == 1
        thread.join(30)
    assert "OPERATION_CANCELED" in str(failures[0])


def test_a_defect_of_ours_says_nothing_of_itself(monkeypatch, caplog):
    from pyspark.errors import PySparkException

    runner = EngineRunner(TABLES)

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("a secret of the inside")

    monkeypatch.setattr(runner, "run", broken)
    with spark_session(runner) as spark, pytest.raises(PySparkException) as caught:
        spark.table("ada.people").collect()
    assert "secret" not in str(caught.value)
    assert "its terminal says more" in str(caught.value)
    assert "a call failed here" in caplog.text


def test_questions_about_a_dataframe_run_nothing():
    runner = EngineRunner(TABLES)
    with spark_session(runner) as spark:
        people = spark.table("ada.people")
        joined = people.join(spark.table("bo.orders"), "id").groupBy("town").count()
        assert joined.columns == ["town", "count"]
        assert joined.schema["count"].nullable is False
        joined.printSchema()
        joined.explain(True)
        assert "DataFrame[town: string, count: bigint]" in repr(joined)
        assert joined.isLocal() is False
        assert joined.isStreaming is False
        assert joined.inputFiles() == []
        assert people.filter("id > 1").sameSemantics(people.filter("id > 1"))
        assert not people.filter("id > 1").sameSemantics(people.filter("id > 2"))
        assert people.semanticHash() == spark.table("ada.people").semanticHash()
        assert people.cache().storageLevel.useMemory is False
        people.unpersist()
        assert spark.version.startswith("4.")
    assert runner.scripts == []


def test_explain_shows_the_script_and_the_plan(capsys):
    with spark_session(EngineRunner(TABLES)) as spark:
        spark.table("ada.people").filter("age > 40").explain()
    out = capsys.readouterr().out
    assert 'job.sql("SELECT * FROM ada.people WHERE age > 40")' in out
    assert "Keep the rows" in out


def test_settings_that_change_meanings_are_refused():
    from pyspark.errors import AnalysisException

    with spark_session(EngineRunner(TABLES)) as spark:
        spark.conf.set("spark.sql.shuffle.partitions", "8")
        assert spark.conf.get("spark.sql.shuffle.partitions") == "8"
        spark.conf.unset("spark.sql.shuffle.partitions")
        assert spark.conf.get("spark.sql.shuffle.partitions") == "200"
        assert spark.conf.get("spark.sql.session.timeZone") == "UTC"
        assert spark.conf.get("spark.nothing", "x") == "x"
        assert spark.conf.isModifiable("spark.sql.shuffle.partitions")
        assert not spark.conf.isModifiable("spark.sql.ansi.enabled")
        assert spark.conf.getAll["spark.sql.ansi.enabled"] == "true"
        spark.conf.set("spark.sql.session.timeZone", "UTC")
        for name, value in (
            ("spark.sql.session.timeZone", "Europe/Paris"),
            ("spark.sql.ansi.enabled", "false"),
            ("spark.sql.caseSensitive", "true"),
            ("spark.sql.legacy.anything", "1"),
        ):
            with pytest.raises(AnalysisException, match=name):
                spark.conf.set(name, value)


def test_views_belong_to_their_session_and_see_what_they_were_made_of():
    from pyspark.errors import AnalysisException

    runner = EngineRunner(TABLES)
    with spark_session(runner) as spark:
        people = spark.table("ada.people")
        people.filter("id > 3").createOrReplaceTempView("v")
        lazy = spark.sql("SELECT count(*) AS n FROM v")
        spark.sql("SELECT * FROM v WHERE id > 5").createOrReplaceTempView("v")
        assert spark.table("v").count() == 2
        assert lazy.collect()[0].n == 2  # as in Spark Connect, names mean what they mean when run
        with pytest.raises(AnalysisException, match="already"):
            people.createTempView("v")
        with pytest.raises(AnalysisException, match="global view"):
            people.createGlobalTempView("g")
        assert spark.catalog.dropTempView("v") is True
        assert spark.catalog.dropTempView("v") is False
        with pytest.raises(AnalysisException, match="no table"):
            spark.table("v").count()


def test_relations_of_other_kinds_than_reads_make_no_session_unusable(endpoint):
    request = base_pb2.ExecutePlanRequest(session_id="s")
    request.plan.root.CopyFrom(relations_pb2.Relation())
    with stub(endpoint) as (made, metadata):
        with pytest.raises(grpc.RpcError) as caught:
            list(made.ExecutePlan(request, metadata=metadata))
        assert "MC2_PLAN" in caught.value.details()
        assert made.AnalyzePlan(version(), metadata=metadata).spark_version.version
