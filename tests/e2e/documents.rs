//! What people copy from the documentation: every example, and every SpotPool that stands in a document, is one that the API
//! server takes, and every file that a document names exists.

use std::path::{Path, PathBuf};

use crate::harness::Result;
use crate::harness::control_plane::ControlPlane;

const DOCUMENTS: [&str; 13] = [
    "AGENTS.md",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "README.md",
    "SECURITY.md",
    "charts/spotpool/README.md",
    "docs/credentials.md",
    "docs/examples.md",
    "docs/getting-started.md",
    "docs/how-it-decides.md",
    "docs/reasons.md",
    "docs/template.md",
];

fn in_project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The blocks of YAML in a document that are a whole SpotPool.
fn pools_in(document: &str) -> Vec<String> {
    document
        .split("```")
        .skip(1)
        .step_by(2)
        .filter_map(|block| block.strip_prefix("yaml\n"))
        .filter(|block| block.lines().any(|line| line == "kind: SpotPool"))
        .map(str::to_owned)
        .collect()
}

/// Where the links of a document lead, without those to other sites and to places in the same document.
fn links_in(document: &str) -> Vec<String> {
    document
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split_once(')'))
        .map(|(link, _)| link.split('#').next().unwrap_or_default().to_owned())
        .filter(|link| !link.is_empty() && !link.contains("://"))
        .collect()
}

#[tokio::test]
async fn every_pool_in_examples_and_documents_is_taken() -> Result<()> {
    let plane = ControlPlane::start().await?;
    plane.apply_definition().await?;
    let mut seen = 0;
    for entry in std::fs::read_dir(in_project("examples"))? {
        let path = entry?.path();
        if path.extension().is_none_or(|kind| kind != "yaml") {
            continue;
        }
        let file = path.to_str().ok_or("a path that is no text")?;
        let args = ["apply", "--dry-run=server", "--filename", file];
        let said = plane.kubectl(args).await?.ok()?;
        assert!(said.contains(" created"), "{file}: {said}");
        seen += 1;
    }
    for document in DOCUMENTS {
        for pool in pools_in(&std::fs::read_to_string(in_project(document))?) {
            let args = ["apply", "--dry-run=server", "--filename", "-"];
            let said = plane
                .kubectl_as(&plane.kubeconfig_path(), args, &pool)
                .await?
                .ok()?;
            assert!(said.contains(" created"), "{document}: {said}\n{pool}");
            seen += 1;
        }
    }
    assert!(seen >= 2, "only {seen} pools were found");
    Ok(())
}

#[test]
fn every_link_to_a_file_leads_to_one() -> Result<()> {
    let mut seen = 0;
    for document in DOCUMENTS {
        let path = in_project(document);
        let here = path.parent().ok_or("a document without a folder")?;
        for link in links_in(&std::fs::read_to_string(&path)?) {
            assert!(here.join(&link).exists(), "{document} links to {link}");
            seen += 1;
        }
    }
    assert!(seen > 10, "only {seen} links were found");
    Ok(())
}

#[test]
fn finds_pools_and_links_in_a_document() {
    let document = "[a](docs/a.md#part) [b](https://example.com/b) [c](#c)\n```yaml\nkind: SpotPool\n```\n```sh\nkind: SpotPool\n```\n";
    assert_eq!(pools_in(document), ["kind: SpotPool\n"]);
    assert_eq!(links_in(document), ["docs/a.md"]);
}
