"""The metrics of several processes are one text that Prometheus reads."""

from __future__ import annotations

from collections import Counter

from prometheus_client.parser import text_string_to_metric_families

from imgproxy.fleet.exposition import join
from imgproxy.telemetry import Metrics


def busy(answers: int) -> Metrics:
    metrics = Metrics()
    for _ in range(answers):
        metrics.answered(200, "hit", 10, 0.01)
    metrics.gauge("imgproxy_cache_disk_bytes", 'Results on "disk", so to speak.', lambda: answers)
    return metrics


def samples(text: bytes) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    families = list(text_string_to_metric_families(text.decode()))
    assert len({family.name for family in families}) == len(families)  # each family is one group
    return {
        (each.name, frozenset(each.labels.items())): each.value
        for family in families
        for each in family.samples
    }


def test_every_sample_of_every_edge_is_there_with_its_number() -> None:
    own, edges = busy(1), {"0": busy(2), "1": busy(3)}
    joined = samples(join(own.text()[1], {name: each.text()[1] for name, each in edges.items()}))
    expected = samples(own.text()[1])
    for name, each in edges.items():
        expected |= {
            (sample, labels | {("edge", name)}): value
            for (sample, labels), value in samples(each.text()[1]).items()
        }
    created = {key for key in expected if key[0].endswith("_created")}
    assert {k: v for k, v in joined.items() if k not in created} == {
        k: v for k, v in expected.items() if k not in created
    }


def test_what_only_an_edge_counts_has_its_head_too() -> None:
    text = join(b"", {"1": busy(2).text()[1]}).decode()
    assert '# TYPE imgproxy_cache_disk_bytes gauge\nimgproxy_cache_disk_bytes{edge="1"} 2.0\n' in text


def test_what_only_the_parent_counts_stays_as_it_is() -> None:
    metrics = Metrics()
    metrics.counts("imgproxy_jobs", "Jobs.", "outcome", Counter(made=3))
    text = join(metrics.text()[1], {"0": b""}).decode()
    assert 'imgproxy_jobs_total{outcome="made"} 3.0\n' in text
