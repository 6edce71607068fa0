//! The few calls to the Kubernetes API that a reconcile makes, each bounded in time.
//!
//! In come a pool and what to write; out goes success or an error that says what could not be done. Answers are read as metadata
//! only, so that an object that cannot be parsed can still be written to.

use std::future::Future;
use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{ApiResource, DynamicObject, GetParams, Patch, PatchParams};
use kube::core::{ObjectMeta, PartialObjectMeta, Request, Status};
use kube::{Api, Client, Resource as _, ResourceExt as _};
use serde_json::{Value, json};

use crate::api::{FIELD_MANAGER, GROUP, ReferenceKind, SpotPool, VERSION};

use super::objects::Object;

/// How long one call may take. The client itself has no such bound, since watches last.
const LONGEST_CALL: Duration = Duration::from_secs(15);

/// The definition's name.
const DEFINITION: &str = "spotpools.spotpool.io";

/// The Kubernetes API did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It said no, or could not be reached.
    #[error("could not {what}: {source}")]
    Refused {
        /// What was asked.
        what: &'static str,
        /// What came back.
        source: Box<kube::Error>,
    },
    /// It answered with something else than what was asked for.
    #[error("could not {what}: the answer of the Kubernetes API is not one")]
    Unreadable {
        /// What was asked.
        what: &'static str,
    },
    /// It did not answer.
    #[error("could not {what}: no answer from the Kubernetes API within {} s", LONGEST_CALL.as_secs())]
    Late {
        /// What was asked.
        what: &'static str,
    },
}

impl Error {
    /// The status code of the answer, if there was one.
    pub fn code(&self) -> Option<u16> {
        self.answer().map(|status| status.code)
    }

    /// What the API server answered, if it did.
    pub fn answer(&self) -> Option<&Status> {
        match self {
            Self::Refused { source, .. } => match source.as_ref() {
                kube::Error::Api(status) => Some(status),
                _ => None,
            },
            Self::Late { .. } | Self::Unreadable { .. } => None,
        }
    }
}

/// Makes one call, and gives up on it in time.
pub async fn bounded<T>(
    what: &'static str,
    call: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, Error> {
    match tokio::time::timeout(LONGEST_CALL, call).await {
        Ok(answer) => answer.map_err(|source| Error::Refused {
            what,
            source: Box::new(source),
        }),
        Err(_) => Err(Error::Late { what }),
    }
}

/// `namespace/name`, for logs.
pub fn label(pool: &SpotPool) -> String {
    format!(
        "{}/{}",
        pool.namespace().unwrap_or_default(),
        pool.name_any()
    )
}

/// The API server as a reconcile sees it.
#[derive(Clone)]
pub struct Kubernetes {
    client: Client,
}

impl Kubernetes {
    /// Over this client.
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    fn pools(&self, meta: &ObjectMeta) -> Api<PartialObjectMeta<SpotPool>> {
        Api::namespaced(
            self.client.clone(),
            meta.namespace.as_deref().unwrap_or_default(),
        )
    }

    /// Adds finalizers.
    ///
    /// # Errors
    /// Also when somebody else changed the finalizers meanwhile.
    pub async fn add_finalizers(&self, meta: &ObjectMeta, ours: &[&str]) -> Result<(), Error> {
        let others = meta.finalizers.clone().unwrap_or_default();
        // A JSON patch adds to a list that does not exist only as a whole, and `test` keeps it from overwriting another.
        let patch = if others.is_empty() {
            json!([
                {"op": "test", "path": "/metadata/finalizers", "value": null},
                {"op": "add", "path": "/metadata/finalizers", "value": ours},
            ])
        } else {
            let test = json!({"op": "test", "path": "/metadata/finalizers", "value": others});
            let add = |one| json!({"op": "add", "path": "/metadata/finalizers/-", "value": one});
            std::iter::once(test).chain(ours.iter().map(add)).collect()
        };
        self.json_patch("add the finalizer", meta, patch).await
    }

    /// Removes one of our finalizers: as far as it goes, the object may go.
    ///
    /// # Errors
    /// Also when somebody else changed the finalizers meanwhile.
    pub async fn remove_finalizer(&self, meta: &ObjectMeta, ours: &str) -> Result<(), Error> {
        let finalizers = meta.finalizers.as_deref().unwrap_or_default();
        let Some(index) = finalizers.iter().position(|one| one == ours) else {
            return Ok(());
        };
        let path = format!("/metadata/finalizers/{index}");
        let patch = json!([
            {"op": "test", "path": path, "value": ours},
            {"op": "remove", "path": path},
        ]);
        match self.json_patch("remove the finalizer", meta, patch).await {
            Err(error) if error.code() == Some(404) => Ok(()),
            other => other,
        }
    }

    async fn json_patch(
        &self,
        what: &'static str,
        meta: &ObjectMeta,
        patch: Value,
    ) -> Result<(), Error> {
        let patch = serde_json::from_value(patch).map_err(|error| Error::Refused {
            what,
            source: Box::new(kube::Error::SerdeError(error)),
        })?;
        let patch: Patch<()> = Patch::Json(patch);
        let name = meta.name.as_deref().unwrap_or_default();
        let pools = self.pools(meta);
        bounded(what, pools.patch(name, &PatchParams::default(), &patch)).await?;
        Ok(())
    }

    /// Writes a status by server-side apply, to this very object: one of the same name with another UID is left alone.
    ///
    /// # Errors
    /// If the API server refuses or does not answer. An object that is gone is no error.
    pub async fn write_status(&self, meta: &ObjectMeta, status: &Value) -> Result<(), Error> {
        let whole = json!({
            "apiVersion": format!("{GROUP}/{VERSION}"),
            "kind": "SpotPool",
            "metadata": {"name": meta.name, "namespace": meta.namespace, "uid": meta.uid},
            "status": status,
        });
        let params = PatchParams::apply(FIELD_MANAGER).force();
        let name = meta.name.as_deref().unwrap_or_default();
        let pools = self.pools(meta);
        let patch = Patch::Apply(&whole);
        let written = bounded(
            "write the status",
            pools.patch_status(name, &params, &patch),
        )
        .await;
        match written {
            Err(error) if error.code() == Some(404) => Ok(()),
            other => other.map(|_| ()),
        }
    }

    /// The object as it stands, whether it can be parsed or not.
    ///
    /// # Errors
    /// If the API server refuses or does not answer.
    pub async fn read_raw(&self, meta: &ObjectMeta) -> Result<Value, Error> {
        let resource = ApiResource::erase::<SpotPool>(&());
        let namespace = meta.namespace.as_deref().unwrap_or_default();
        let pools: Api<DynamicObject> =
            Api::namespaced_with(self.client.clone(), namespace, &resource);
        let name = meta.name.as_deref().unwrap_or_default();
        let object = bounded("read the object", pools.get(name)).await?;
        Ok(object.data)
    }

    /// A Secret or ConfigMap. The answer is parsed here, since the client logs what it cannot parse.
    ///
    /// # Errors
    /// If the API server refuses or does not answer. The error quotes nothing of the object.
    pub async fn read_data(
        &self,
        kind: ReferenceKind,
        namespace: &str,
        name: &str,
    ) -> Result<Object, Error> {
        let (what, path) = match kind {
            ReferenceKind::Secret => ("read a Secret", Secret::url_path(&(), Some(namespace))),
            ReferenceKind::ConfigMap => (
                "read a ConfigMap",
                ConfigMap::url_path(&(), Some(namespace)),
            ),
        };
        let refused = |source| Error::Refused {
            what,
            source: Box::new(source),
        };
        let request = Request::new(path).get(name, &GetParams::default());
        let request = request.map_err(|error| refused(kube::Error::BuildRequest(error)))?;
        let text = bounded(what, self.client.request_text(request)).await?;
        serde_json::from_str(&text).map_err(|_| Error::Unreadable { what })
    }

    /// Whether the definition of SpotPool itself is being deleted. Then every pool is, without anybody having asked for that one.
    ///
    /// An installation that may not read definitions (one namespace only) does not get this protection.
    ///
    /// # Errors
    /// If the API server does not answer.
    pub async fn definition_is_going(&self) -> Result<bool, Error> {
        let definitions: Api<PartialObjectMeta<CustomResourceDefinition>> =
            Api::all(self.client.clone());
        let read = bounded(
            "read the CustomResourceDefinition",
            definitions.get_metadata(DEFINITION),
        );
        match read.await {
            Ok(definition) => Ok(definition.metadata.deletion_timestamp.is_some()),
            Err(error) if error.code() == Some(403) => {
                tracing::warn!(%error, "not allowed to see whether SpotPool's definition is being deleted: assuming that it is not");
                Ok(false)
            }
            Err(error) if error.code() == Some(404) => Ok(true),
            Err(error) => Err(error),
        }
    }
}
