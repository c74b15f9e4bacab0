//! `minio-manager crds`: the CRDs as YAML.

use std::{fs, io, path::Path, path::PathBuf};

use thiserror::Error;

use crate::api::schema;

/// Why the CRDs could not be written.
#[derive(Debug, Error)]
pub enum Error {
    /// A CRD has no YAML form. The types are at fault, not the caller.
    #[error("the CRD {name} cannot be written as YAML")]
    Render {
        /// The CRD.
        name: String,
        /// What the serializer says.
        #[source]
        source: serde_saphyr::SerializeError,
    },
    /// A file cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file or directory.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
}

/// Every CRD as (file name, YAML), in the order of the manual.
///
/// # Errors
/// Only when a type has no YAML form.
pub fn render() -> Result<Vec<(String, String)>, Error> {
    schema::crds()
        .into_iter()
        .map(|crd| {
            let name = crd.spec.names.plural.clone();
            let yaml = serde_saphyr::to_string(&crd).map_err(|source| Error::Render { name: name.clone(), source })?;
            Ok((format!("{name}.yaml"), yaml))
        })
        .collect()
}

/// All CRDs as one YAML stream, for `kubectl apply -f -`.
///
/// # Errors
/// Only when a type has no YAML form.
pub fn stream() -> Result<String, Error> {
    Ok(render()?.into_iter().map(|(_, yaml)| format!("---\n{yaml}")).collect())
}

/// Writes one file a CRD into the directory, which is made if it is missing.
///
/// # Errors
/// When the directory or a file cannot be written.
pub fn write(directory: &Path) -> Result<(), Error> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| Error::Write { path, source }
    };
    fs::create_dir_all(directory).map_err(failed(directory))?;
    for (name, yaml) in render()? {
        let path = directory.join(name);
        fs::write(&path, yaml).map_err(failed(&path))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn committed() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("crds")
    }

    #[test]
    fn committed_files_are_what_the_types_say() {
        let mut rendered = render().unwrap();
        rendered.sort();
        let mut files: Vec<(String, String)> = fs::read_dir(committed())
            .unwrap()
            .map(|entry| {
                let path = entry.unwrap().path();
                (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read_to_string(&path).unwrap())
            })
            .collect();
        files.sort();
        let names = |all: &[(String, String)]| all.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        assert_eq!(names(&files), names(&rendered), "crds/ is out of date: run `make generate`");
        for ((name, file), (_, now)) in files.iter().zip(&rendered) {
            assert!(file == now, "crds/{name} is out of date: run `make generate`");
        }
    }

    #[test]
    fn yaml_means_what_the_types_say() {
        for (crd, (name, yaml)) in schema::crds().iter().zip(render().unwrap()) {
            let read: serde_json::Value = serde_saphyr::from_str(&yaml).unwrap();
            assert_eq!(read, serde_json::to_value(crd).unwrap(), "{name}");
        }
    }

    #[test]
    fn writing_makes_the_directory() {
        let directory = std::env::temp_dir().join(format!("crds-{}", std::process::id()));
        write(&directory.join("new")).unwrap();
        let written = fs::read_to_string(directory.join("new/miniousers.yaml")).unwrap();
        fs::remove_dir_all(&directory).unwrap();
        assert!(stream().unwrap().contains(&written));
    }
}
