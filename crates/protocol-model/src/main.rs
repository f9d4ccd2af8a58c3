//! x
use stateright::{Checker, Model, HasDiscoveries};
use protocol_model::*;
fn main(){
  let name = std::env::args().nth(1).unwrap();
  let cap: usize = std::env::args().nth(2).and_then(|x|x.parse().ok()).unwrap_or(1_000_000);
  if name=="mutants" { for m in mutant::Mutant::ALL { let t=std::time::Instant::now();
    let c = model::Protocol{scenario:scenarios::named(m.scenario()).unwrap(),mutant:Some(*m)}.checker().threads(2).target_state_count(cap).finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    println!("{m:?}: {} unique {} depth {} {:?} {:?}", m.scenario(), c.unique_state_count(), c.max_depth(), t.elapsed(), c.discoveries().into_iter().filter(|x|x.0!=model::ENDS_WELL).map(|x|(x.0,x.1.into_actions().len())).collect::<Vec<_>>()); } return; }
  let mutant = std::env::args().nth(3).map(|m| *mutant::Mutant::ALL.iter().find(|x| format!("{x:?}")==m).unwrap());
  for s in if name=="small" {scenarios::small()} else if name=="large" {scenarios::large()} else {vec![scenarios::named(&name).unwrap()]} {
    let t=std::time::Instant::now();
    let n=s.name;
    let c = model::Protocol{scenario:s,mutant}.checker().threads(2).target_state_count(cap).finish_when(HasDiscoveries::AnyFailures).spawn_dfs().join();
    println!("{n}: unique {} generated {} depth {} {:?}", c.unique_state_count(), c.state_count(), c.max_depth(), t.elapsed());
    for (p,d) in c.discoveries() { if p==model::ENDS_WELL {continue}
      println!("  {p}"); let v=d.into_vec(); for (s,a) in &v { println!("   {a:?}  {}", s.devices.iter().map(|w| w.workers.iter().map(|x| format!("{:?}",x.phase)).collect::<Vec<_>>().join(" | ")).collect::<String>()); } println!("{:#?}", v.last().unwrap().0.devices); }
  }
}
