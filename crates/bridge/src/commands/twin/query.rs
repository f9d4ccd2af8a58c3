//! `twin query`: pages until there are enough.

use anyhow::{Context as _, anyhow};
use lifecycle::TenantId;
use messages::twin::{FoundTwin, MAX_PAGE, Place, QueryReply, QueryRequest};

use super::ask::{Service, Subject};
use super::show;
use crate::cli::Output;
use crate::print;

pub(super) async fn run(
    service: &Service,
    tenant: &TenantId,
    query: &str,
    limit: usize,
    output: Output,
) -> anyhow::Result<()> {
    let mut request = QueryRequest {
        condition: query.parse().map_err(|error| anyhow!("{error}"))?,
        ..QueryRequest::default()
    };
    let (mut found, mut more) = (Vec::new(), true);
    while more && found.len() < limit {
        let most = usize::try_from(MAX_PAGE).unwrap_or(usize::MAX);
        request.page_size = most.min(limit - found.len());
        let subject = Subject::tenant("query", tenant);
        let body = service.ask(&subject, request.to_body()).await?;
        let page = QueryReply::parse(&body).context("the reply of the twin service")?;
        found.extend(page.twins);
        let after = page.continuation.map(|place| place.parse::<Place>());
        request.after = after.transpose().context("the reply of the twin service")?;
        more = request.after.is_some();
    }
    print::result(output, &found, |found| table(found))?;
    if more {
        eprintln!("there are more; --limit shows more of them");
    }
    Ok(())
}

fn table(found: &[FoundTwin]) -> String {
    let rows = found.iter().map(|found| {
        let twin = &found.twin;
        let module = found.module.as_deref().unwrap_or_default();
        [
            print::harmless(&found.device),
            print::harmless(module),
            twin.version.to_string(),
            short(&twin.tags),
            short(&twin.desired),
            short(&twin.reported),
        ]
    });
    let head = ["device", "module", "version", "tags", "desired", "reported"];
    print::table(head, rows)
}

/// The beginning of a section on one line.
fn short(section: &serde_json::Value) -> String {
    const LONGEST: usize = 60;
    let leaves = show::leaves(section);
    let text: Vec<_> = leaves
        .iter()
        .map(|(path, value)| format!("{path}={value}"))
        .collect();
    let text = text.join(" ");
    if text.chars().count() <= LONGEST {
        return text;
    }
    let cut: String = text.chars().take(LONGEST - 1).collect();
    format!("{cut}…")
}
