//! Whether git has a say in an annotation: then what is set here comes back, and has to be changed there.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use kube::core::ObjectMeta;

/// How those begin that may apply in another way than on the server.
const APPLIERS: [&str; 4] = ["argocd", "kustomize-controller", "helm", "kubectl-client-side-apply"];
/// What Argo CD writes on everything that it applies: `APPLICATION:group/kind:namespace/name`.
const ARGO_CD: &str = "argocd.argoproj.io/tracking-id";
/// What Flux writes, for its kinds.
const FLUX: [(&str, &str); 2] =
    [("kustomize.toolkit.fluxcd.io", "Kustomization"), ("helm.toolkit.fluxcd.io", "HelmRelease")];

/// Who keeps an annotation as it is written somewhere else, in words; `None` where it is free, as those that are set by hand
/// are.
pub fn keeper(meta: &ObjectMeta, annotation: &str) -> Option<String> {
    let owners = meta.managed_fields.iter().flatten().filter(|entry| owns(entry, annotation));
    let owner = owners.filter(|entry| keeps(entry)).find_map(|entry| entry.manager.clone())?;
    Some(match program(meta) {
        Some(program) => format!("{program}, as {owner}"),
        None => owner,
    })
}

fn owns(entry: &ManagedFieldsEntry, annotation: &str) -> bool {
    let fields = entry.fields_v1.as_ref().map(|fields| &fields.0);
    let annotations = fields.and_then(|fields| fields.get("f:metadata")?.get("f:annotations"));
    annotations.is_some_and(|annotations| annotations.get(format!("f:{annotation}")).is_some())
}

/// What is applied is applied again. What people and programs wrote once stays as it is.
fn keeps(entry: &ManagedFieldsEntry) -> bool {
    let manager = entry.manager.as_deref().unwrap_or_default();
    entry.operation.as_deref() == Some("Apply") || APPLIERS.iter().any(|applier| manager.starts_with(applier))
}

/// The program that applies the object, and which of its own objects has it do so.
fn program(meta: &ObjectMeta) -> Option<String> {
    let annotation = |key: &str| meta.annotations.as_ref()?.get(key);
    let label = |key: &str| meta.labels.as_ref()?.get(key);
    if let Some(tracking) = annotation(ARGO_CD) {
        let application = tracking.split(':').next().unwrap_or_default();
        return Some(format!("Argo CD (Application {application})"));
    }
    FLUX.iter().find_map(|(domain, kind)| {
        let name = label(&format!("{domain}/name"))?;
        let namespace = label(&format!("{domain}/namespace"))?;
        Some(format!("Flux ({kind} {namespace}/{name})"))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const LOCK: &str = "minio-manager.io/lock";

    fn meta(manager: &str, operation: &str, marks: Value) -> ObjectMeta {
        let entry = json!({
            "manager": manager, "operation": operation, "apiVersion": "minio-manager.io/v1alpha1", "fieldsType": "FieldsV1",
            "fieldsV1": {"f:metadata": {"f:annotations": {"f:minio-manager.io/lock": {}}}},
        });
        let mut meta = json!({"name": "exp", "managedFields": [entry]});
        meta.as_object_mut().unwrap().extend(marks.as_object().unwrap().clone());
        serde_json::from_value(meta).unwrap()
    }

    #[test]
    fn what_git_declares_is_kept_by_who_applies_it() {
        let argo =
            json!({"annotations": {"argocd.argoproj.io/tracking-id": "lake:minio-manager.io/PathShare:lake/exp"}});
        for operation in ["Apply", "Update"] {
            let keeper = keeper(&meta("argocd-controller", operation, argo.clone()), LOCK).unwrap();
            assert_eq!(keeper, "Argo CD (Application lake), as argocd-controller");
        }
        let flux = json!({"labels": {
            "kustomize.toolkit.fluxcd.io/name": "access", "kustomize.toolkit.fluxcd.io/namespace": "flux-system",
        }});
        let by_flux = keeper(&meta("kustomize-controller", "Apply", flux), LOCK).unwrap();
        assert_eq!(by_flux, "Flux (Kustomization flux-system/access), as kustomize-controller");
        assert_eq!(
            keeper(&meta("kubectl-client-side-apply", "Update", json!({})), LOCK).unwrap(),
            "kubectl-client-side-apply"
        );
    }

    #[test]
    fn what_people_set_by_hand_is_free() {
        for manager in ["minio-manager-cli", "kubectl-annotate", "kubectl-edit", "python-requests"] {
            assert_eq!(keeper(&meta(manager, "Update", json!({})), LOCK), None, "{manager}");
        }
        let other = meta("argocd-controller", "Apply", json!({}));
        assert_eq!(keeper(&other, "minio-manager.io/rotate"), None, "git says nothing of it");
        assert_eq!(keeper(&ObjectMeta::default(), LOCK), None);
    }
}
