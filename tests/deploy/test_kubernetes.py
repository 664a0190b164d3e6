"""The manifest for Kubernetes: it is one, its parts fit together, and a node takes the environment that it gives."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import trustme
import yaml
from kubernetes_validate.utils import all_versions, validate

from node.api.doors import OPEN_PATHS
from node.certificates import Certificates
from node.config import Config
from node.environment import read_environment
from tests.cluster import ROOT

MANIFEST = ROOT / "deploy" / "kubernetes" / "kvs.yaml"
OLDEST = (1, 25)
"""As the manifest says."""
VERSIONS = [version for version in all_versions() if tuple(map(int, version.split(".")[:2])) >= OLDEST]
NAMESPACE = "store"
SECRETS = "/etc/kvs/"
SIGTERM_S = 5
"""Within which a node ends."""
RESTRICTED: Mapping[str, object] = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}


def documents(kind: str) -> list[dict[str, Any]]:
    return [document for document in yaml.safe_load_all(MANIFEST.read_text()) if document["kind"] == kind]


def nodes() -> dict[str, Any]:
    """What the only StatefulSet is to be."""
    (found,) = documents("StatefulSet")
    spec: dict[str, Any] = found["spec"]
    return spec


def pod() -> dict[str, Any]:
    spec: dict[str, Any] = nodes()["template"]["spec"]
    return spec


def container() -> dict[str, Any]:
    (found,) = pod()["containers"]
    spec: dict[str, Any] = found
    return spec


def told(fields: Mapping[str, str]) -> dict[str, str]:
    """The environment of the container, as Kubernetes works it out for a pod with these fields: a variable knows those
    that stand before it."""
    environment: dict[str, str] = {}
    for variable in container()["env"]:
        if "value" in variable:
            text = re.sub(r"\$\((\w+)\)", lambda found: environment.get(found[1], found[0]), variable["value"])
        else:
            text = fields[variable["valueFrom"]["fieldRef"]["fieldPath"]]
        environment[variable["name"]] = text
    return environment


def fields_of(number: int, zone: str) -> dict[str, str]:
    return {
        "metadata.name": f"kvs-{number}",
        "metadata.namespace": NAMESPACE,
        "metadata.labels['topology.kubernetes.io/zone']": zone,
    }


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    """The directory that is mounted, with the mode that its files get."""
    authority = trustme.CA()
    certificate = authority.issue_cert(f"*.kvs-nodes.{NAMESPACE}.svc", f"kvs.{NAMESPACE}.svc")
    authority.cert_pem.write_to_path(tmp_path / "ca.crt")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "tls.crt")
    certificate.private_key_pem.write_to_path(tmp_path / "tls.key")
    (tmp_path / "tokens").write_text(f"admin {'0' * 64}\n")
    (tmp_path / "cluster-secret").write_text(f"{'s' * 32}\n")
    (volume,) = (volume for volume in pod()["volumes"] if volume["name"] == "secrets")
    for file in tmp_path.iterdir():
        file.chmod(volume["projected"]["defaultMode"])
    return tmp_path


def configs(secrets: Path, zone: str = "zone-1") -> Iterator[Config]:
    """Of each node; raises BadEnvironment if one would not start."""
    for number in range(nodes()["replicas"]):
        environment = told(fields_of(number, zone))
        yield read_environment(
            {name: text.replace(SECRETS, f"{secrets}/") for name, text in environment.items()}
            | {"DATA_DIR": container()["volumeMounts"][0]["mountPath"]}
        )


@pytest.mark.parametrize("version", [VERSIONS[0], VERSIONS[-1]])
def test_kubernetes_takes_each_document(version: str) -> None:
    found = list(yaml.safe_load_all(MANIFEST.read_text()))
    assert [document["kind"] for document in found] == ["Service", "Service", "PodDisruptionBudget", "StatefulSet"]
    for document in found:
        validate(document, version, strict=True)


def test_kubernetes_environment_is_one_that_a_node_takes(secrets: Path) -> None:
    found = list(configs(secrets))
    views = {config.view for config in found}
    assert views == {tuple(config.address for config in found)}, "each is in the view of all, and nobody else"
    assert {config.cluster for config in found} == {NAMESPACE}
    assert [config.repl_factor for config in found] == [2] * len(found)
    assert all(config.bind is None for config in found), "a pod listens under its IP, which no address names"
    assert all(config.tokens_file and config.cluster_secret_file and config.tls for config in found)


@pytest.mark.parametrize("zone", ["zone-1", ""], ids=["told", "before pods were told"])
def test_kubernetes_zone_is_that_of_the_machine_or_else_none_is_given(secrets: Path, zone: str) -> None:
    """Without one, each node takes its host for its zone."""
    assert {config.zone for config in configs(secrets, zone)} == {zone}


def test_kubernetes_client_service_is_in_the_certificate_that_the_manifest_asks_for(secrets: Path) -> None:
    named = re.findall(r"\*?[\w.-]*kvs[\w-]*\.NAMESPACE\.svc", MANIFEST.read_text())
    assert named == ["*.kvs-nodes.NAMESPACE.svc", "kvs.NAMESPACE.svc"]
    for config in configs(secrets):
        assert config.tls is not None
        assert Certificates(config.tls, f"kvs.{NAMESPACE}.svc").now.server.verify_mode is ssl.CERT_OPTIONAL


def test_kubernetes_parts_find_each_other() -> None:
    labels = nodes()["template"]["metadata"]["labels"]
    selectors = [service["spec"]["selector"] for service in documents("Service")]
    matched = [nodes(), *(budget["spec"] for budget in documents("PodDisruptionBudget"))]
    selectors += [spec["selector"]["matchLabels"] for spec in matched]
    selectors += [spread["labelSelector"]["matchLabels"] for spread in pod()["topologySpreadConstraints"]]
    assert selectors == [labels] * len(selectors)
    headless, clients = (service["spec"] for service in documents("Service"))
    assert documents("Service")[0]["metadata"]["name"] == nodes()["serviceName"]
    assert (headless["clusterIP"], headless["publishNotReadyAddresses"]) == ("None", True)
    assert not {"clusterIP", "publishNotReadyAddresses"} & clients.keys()
    (port,) = container()["ports"]
    assert {(exposed["targetPort"], exposed["port"]) for spec in (headless, clients) for exposed in spec["ports"]} == {
        (port["name"], port["containerPort"])
    }
    volumes = {volume["name"] for volume in pod()["volumes"]}
    volumes |= {claim["metadata"]["name"] for claim in nodes()["volumeClaimTemplates"]}
    assert {mount["name"] for mount in container()["volumeMounts"]} == volumes
    mounted = {variable["value"] for variable in container()["env"] if str(variable.get("value")).startswith(SECRETS)}
    assert len(mounted) == 5 and container()["volumeMounts"][1]["mountPath"] == SECRETS.rstrip("/")


def test_kubernetes_nodes_that_wait_for_each_other_are_started_together_and_one_at_a_time_goes() -> None:
    assert nodes()["podManagementPolicy"] == "Parallel"
    assert [budget["spec"]["maxUnavailable"] for budget in documents("PodDisruptionBudget")] == [1]


def test_kubernetes_probes_are_answered_by_tls_and_without_a_token() -> None:
    for name in ("startupProbe", "livenessProbe"):
        asked = container()[name]["httpGet"]
        assert asked == {"path": "/livez", "port": container()["ports"][0]["name"], "scheme": "HTTPS"}
        assert asked["path"] in OPEN_PATHS
    assert container()["readinessProbe"]["exec"]["command"] == ["kvs", "health"]


def test_kubernetes_drain_leaves_time_for_clients_to_learn_of_it_and_for_the_node_to_end() -> None:
    program, seconds = container()["lifecycle"]["preStop"]["exec"]["command"]
    assert program == "sleep"
    assert int(seconds) + SIGTERM_S < pod()["terminationGracePeriodSeconds"]


def test_kubernetes_pod_keeps_to_the_restricted_profile_and_knows_nothing_of_kubernetes() -> None:
    assert container()["securityContext"] == RESTRICTED
    context = pod()["securityContext"]
    assert context["runAsNonRoot"] is True
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}
    assert (pod()["automountServiceAccountToken"], pod()["enableServiceLinks"]) == (False, False)
