//! x
use stateright::{Checker, Model, HasDiscoveries};
use protocol_model::*;
fn main(){
  let name = std::env::args().nth(1).unwrap();
  let cap: usize = std::env::args().nth(2).and_then(|x|x.parse().ok()).unwrap_or(1_000_000);
  let mutant = std::env::args().nth(3).map(|m| *mutant::Mutant::ALL.iter().find(|x| format!("{x:?}")==m).unwrap());
  for s in scenarios::all() { if name!="all" && s.name!=name {continue}
    let t=std::time::Instant::now();
    let n=s.name;
    let c = model::Protocol{scenario:s,mutant}.checker().threads(2).target_state_count(cap).finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    println!("{n}: unique {} generated {} depth {} {:?}", c.unique_state_count(), c.state_count(), c.max_depth(), t.elapsed());
    for (p,d) in c.discoveries() { if p==model::ENDS_WELL {continue}
      println!("  {p}"); let v=d.into_vec(); for (s,a) in &v { println!("   {a:?}  {}", s.devices.iter().map(|w| w.workers.iter().map(|x| format!("{:?}",x.phase)).collect::<Vec<_>>().join(" | ")).collect::<String>()); } println!("{:#?}", v.last().unwrap().0.devices); }
  }
}
