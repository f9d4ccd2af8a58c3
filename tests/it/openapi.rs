//! Every request and answer of the scenarios fits Microsoft's description of the service.
//!
//! The description is `data/iothub.openapi.json`, verbatim. Where the real service departs from it,
//! or an SDK does, `data/departures.json` names the place and how that is known; everything else
//! must fit: path, query, headers, status and bodies, and no body has a field that is not described.

mod departures;
mod description;
mod exchange;
mod fit;
mod tests;

use anyhow::{Result, ensure};

use departures::departures;
use description::Description;
use exchange::Exchange;

/// Holds the exchanges of a scenario (one JSON object a line), those after the one with this
/// number, against the description.
pub(crate) fn judge(record: &str, from: u64) -> Result<()> {
    let description = Description::new(&departures()?)?;
    let mut wrong = Vec::new();
    let mut judged = 0;
    for line in record.lines() {
        let exchange: Exchange = serde_json::from_str(line)?;
        if exchange.seq <= from || exchange.is_for_issuer() {
            continue;
        }
        judged += 1;
        let Exchange { method, path, .. } = &exchange;
        let complaints = fit::complaints(&description, &exchange);
        wrong.extend(complaints.iter().map(|it| format!("{method} {path}: {it}")));
    }
    wrong.sort_unstable();
    wrong.dedup();
    ensure!(wrong.is_empty(), "does not fit:\n{}", wrong.join("\n"));
    ensure!(judged > 0, "the scenario sent nothing");
    Ok(())
}

/// Method, path and name of every operation in the description.
pub(crate) fn operations() -> Result<Vec<(String, String, String)>> {
    let description = Description::new(&[])?;
    let all = description.operations.iter();
    Ok(all
        .map(|it| (it.method.clone(), it.path.clone(), it.name.clone()))
        .collect())
}
