"""The files of deploy/container and of the workflows: they parse, and what they name exists."""

import glob
import os
import re
import shlex
import sys
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CONTAINER = os.path.join(ROOT, "deploy", "container")
CONFIG = "/etc/streamgate/streamgate.yaml"

try:
    import yaml
except ImportError:
    yaml = None


def read(*path):
    with open(os.path.join(ROOT, *path), encoding="utf-8") as file:
        return file.read()


def documents(*path):
    return list(yaml.safe_load_all(read(*path)))


def port(address):
    return int(address.rpartition(":")[2])


def instructions(text):
    """The instructions of a Dockerfile, as (name, argument)."""
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    return [tuple(line.split(None, 1)) for line in joined.splitlines() if line.strip()]


class Containers(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dockerfile = instructions(read("deploy/container/Dockerfile"))
        (config,) = documents("deploy/container/streamgate.yaml")
        cls.port = port(config["listen"])

    def of(self, name):
        return [argument for key, argument in self.dockerfile if key == name]

    def test_the_image_copies_files_that_exist(self):
        built = {"/image/streamgate", "/etc/ssl/certs/ca-certificates.crt", "."}
        for argument in self.of("COPY"):
            *_, source, _ = [word for word in argument.split() if not word.startswith("--")]
            if source not in built:
                self.assertTrue(source.startswith("/source/"), source)
                path = os.path.join(ROOT, source.removeprefix("/source/"))
                self.assertTrue(os.path.exists(path), source)
        (build,) = self.of("RUN")
        script = re.search(r"/source/(\S+\.sh)", build)[1]
        self.assertTrue(os.access(os.path.join(ROOT, script), os.X_OK))

    def test_the_image_runs_the_program_as_a_user_without_a_shell(self):
        self.assertEqual(self.of("FROM")[-1], "scratch")
        self.assertEqual(self.of("USER"), ["65532:65532"])
        self.assertEqual(yaml.safe_load(self.of("ENTRYPOINT")[0]), ["/streamgate"])
        self.assertEqual(yaml.safe_load(self.of("CMD")[0]), ["-c", CONFIG])
        check = yaml.safe_load(self.of("HEALTHCHECK")[0].split("CMD", 1)[1])
        self.assertEqual(check, ["/streamgate", "healthcheck", "-c", CONFIG])
        copied = {argument.split()[-1] for argument in self.of("COPY")}
        self.assertTrue({"/streamgate", CONFIG} <= copied)

    def test_all_ports_are_the_one_of_the_configuration(self):
        self.assertEqual([int(number) for number in self.of("EXPOSE")], [self.port])
        nginx = read("deploy/container/nginx.conf")
        self.assertEqual(re.findall(r"server streamgate:(\d+);", nginx), [str(self.port)])
        (compose,) = documents("deploy/container/compose.yaml")
        published = compose["services"]["nginx"]["ports"][0].split(":")
        self.assertEqual(re.findall(r"listen (\d+);", nginx), [published[1]])
        self.assertNotIn("ports", compose["services"]["streamgate"])

    def test_the_compose_file_names_files_that_exist(self):
        (compose,) = documents("deploy/container/compose.yaml")
        build = compose["services"]["streamgate"]["build"]
        context = os.path.join(CONTAINER, build["context"])
        self.assertTrue(os.path.samefile(context, ROOT))
        self.assertTrue(os.path.exists(os.path.join(context, build["dockerfile"])))
        for service in compose["services"].values():
            for volume in service["volumes"]:
                path = os.path.join(CONTAINER, volume.split(":")[0])
                self.assertTrue(os.path.exists(path), volume)

    def test_nginx_sets_every_field_that_the_front_door_names(self):
        example = re.search(r"```nginx\n(.*?)```", read("README.md"), re.S)[1]
        fields = re.findall(r"proxy_set_header (\S+) ", example)
        self.assertTrue(fields)
        nginx = read("deploy/container/nginx.conf")
        for field in fields:
            self.assertIn(f"proxy_set_header {field} ", nginx)

    def test_kubernetes_gives_streams_the_time_that_the_configuration_does(self):
        objects = {entry["kind"]: entry for entry in documents("deploy/container/kubernetes.yaml")}
        config = yaml.safe_load(objects["ConfigMap"]["data"]["streamgate.yaml"])
        deployment = objects["Deployment"]["spec"]
        pod = deployment["template"]["spec"]
        (container,) = pod["containers"]
        sleep = container["lifecycle"]["preStop"]["sleep"]["seconds"]
        stop = int(config["drain"]["stop_timeout"].removesuffix("s"))
        self.assertGreater(pod["terminationGracePeriodSeconds"], stop + sleep)
        liveness = container["livenessProbe"]
        self.assertGreater(liveness["periodSeconds"] * liveness["failureThreshold"], stop + sleep)
        update = deployment["strategy"]["rollingUpdate"]
        self.assertEqual(update, {"maxSurge": 1, "maxUnavailable": 0})

    def test_kubernetes_names_agree(self):
        objects = {entry["kind"]: entry for entry in documents("deploy/container/kubernetes.yaml")}
        config = yaml.safe_load(objects["ConfigMap"]["data"]["streamgate.yaml"])
        spec = objects["Deployment"]["spec"]
        pod = spec["template"]["spec"]
        (container,) = pod["containers"]
        (named,) = container["ports"]
        self.assertEqual(named["containerPort"], port(config["listen"]))
        for probe, path in (("readinessProbe", "/ready"), ("livenessProbe", "/health")):
            request = {"path": path, "port": named["name"]}
            self.assertEqual(container[probe]["httpGet"], request)
        labels = spec["template"]["metadata"]["labels"]
        self.assertEqual(spec["selector"]["matchLabels"], labels)
        self.assertEqual(objects["Service"]["spec"]["selector"], labels)
        self.assertEqual(objects["Service"]["spec"]["ports"][0]["targetPort"], named["name"])
        self.assertEqual(objects["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"], labels)
        (volume,) = pod["volumes"]
        (mount,) = container["volumeMounts"]
        self.assertEqual(volume["name"], mount["name"])
        self.assertEqual(volume["configMap"]["name"], objects["ConfigMap"]["metadata"]["name"])
        self.assertEqual(os.path.join(mount["mountPath"], "streamgate.yaml"), CONFIG)
        self.assertEqual(str(pod["securityContext"]["runAsUser"]), self.of("USER")[0].split(":")[0])

    def test_workflows_run_scripts_that_exist(self):
        steps = 0
        for path in glob.glob(os.path.join(ROOT, ".github", "workflows", "*.yml")):
            (workflow,) = documents(path)
            for job in workflow["jobs"].values():
                for step in job["steps"]:
                    program = shlex.split(step.get("run", ""))[:1]
                    if program and program != ["gh"]:
                        steps += 1
                        self.assertTrue(os.access(os.path.join(ROOT, program[0]), os.X_OK), program)
        self.assertGreater(steps, 5)


if __name__ == "__main__":
    if not yaml:
        sys.exit(77)  # ctest shows it as skipped
    unittest.main(verbosity=2)
