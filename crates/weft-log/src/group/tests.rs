//! The group as a story: one line per step, one line per effect.

use std::fmt::Write;

use bytes::Bytes;
use expect_test::{Expect, expect};

use super::core::Group;
use super::words::{Effect, Join, Kept, Limits, MemberRef, Protocol, Sync};
use crate::error::GroupError;

/// Runs a script of `at member verb …` lines on a fresh group and prints what happened.
///
/// Verbs: `join [instance] [protocols a,b]`, `rejoin`, `sync [assign]`, `beat`, `leave`, `commit`, `tick`. A member's
/// id is its name; tickets number the requests from 1.
fn run(limits: Limits, script: &str) -> String {
    let mut group = Group::new(limits);
    let mut out = String::new();
    let mut ticket = 0;
    for line in script.lines().map(str::trim).filter(|l| !l.is_empty()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let now: u64 = words[0].parse().expect("a time first");
        let name = words[1];
        let generation = group.kept().generation;
        let instance = words.iter().find_map(|w| w.strip_prefix("instance="));
        let member = MemberRef {
            member_id: name.to_owned(),
            instance_id: instance.map(str::to_owned),
            generation: words.iter().find_map(|w| w.strip_prefix("gen=")).map_or(generation, |g| g.parse().unwrap()),
        };
        let protocols = words.iter().find_map(|w| w.strip_prefix("protocols=")).unwrap_or("range");
        let mut effects = Vec::new();
        let mut answer = String::new();
        match words[2] {
            verb @ ("join" | "new" | "rejoin") => {
                ticket += 1;
                let join = Join {
                    ticket,
                    member_id: if verb == "rejoin" { name.to_owned() } else { String::new() },
                    new_member_id: name.to_owned(),
                    instance_id: instance.map(str::to_owned),
                    client_id: "c".to_owned(),
                    client_host: "/h".to_owned(),
                    session_timeout: 10_000,
                    rebalance_timeout: 60_000,
                    protocol_type: "consumer".to_owned(),
                    protocols: protocols
                        .split(',')
                        .map(|p| Protocol { name: p.to_owned(), metadata: Bytes::from_static(b"m") })
                        .collect(),
                    member_id_required: verb == "new",
                    can_skip_assignment: words.contains(&"skips"),
                };
                group.join(now, join, &mut effects);
            }
            "sync" => {
                ticket += 1;
                let ids: Vec<String> = group.members().keys().cloned().collect();
                let assign = |id: String| (id.clone(), Bytes::from(format!("for {id}")));
                let assigns = words.contains(&"assigns");
                let assignments = if assigns { ids.into_iter().map(assign).collect() } else { Vec::new() };
                let sync = Sync { ticket, member, protocol_type: None, protocol: None, assignments };
                group.sync(now, sync, &mut effects);
            }
            "beat" => answer = format!("{:?}", group.heartbeat(now, &member)),
            "leave" => answer = format!("{:?}", group.leave(now, name, instance, &mut effects)),
            "commit" => answer = format!("{:?}", group.check_commit(now, &member, false)),
            "tick" => group.tick(now, &mut effects),
            verb => panic!("{verb}?"),
        }
        writeln!(out, "{line}{}{answer}", if answer.is_empty() { "" } else { ": " }).unwrap();
        for effect in effects {
            let said = match effect {
                Effect::Join(t, Ok(j)) => {
                    let members: Vec<&str> = j.members.iter().map(|(id, ..)| id.as_str()).collect();
                    format!(
                        "#{t} joined as {} generation {} {} led by {} {members:?}{}",
                        j.member_id,
                        j.generation,
                        j.protocol,
                        j.leader,
                        if j.skip_assignment { " skip" } else { "" }
                    )
                }
                Effect::Join(t, Err(r)) => format!("#{t} join refused: {:?} {}", r.error, r.member_id),
                Effect::Sync(t, Ok(s)) => format!("#{t} synced {:?}", String::from_utf8_lossy(&s.assignment)),
                Effect::Sync(t, Err(e)) => format!("#{t} sync refused: {e:?}"),
                Effect::Persist => "kept".to_owned(),
            };
            writeln!(out, "    {said}").unwrap();
        }
    }
    writeln!(out, "→ {} generation {}", group.state().name(), group.kept().generation).unwrap();
    out
}

const LIMITS: Limits = Limits { members_max: 3, initial_rebalance_delay: 0 };

#[track_caller]
fn check(script: &str, expected: Expect) {
    expected.assert_eq(&run(LIMITS, script));
}

#[test]
fn a_group_of_one_forms_without_waiting() {
    check(
        "0 a new
         1 a rejoin
         2 a sync assigns
         3 a beat
         4 a commit
         5 a leave",
        expect![[r#"
            0 a new
                #1 join refused: MemberIdRequired a
            1 a rejoin
                #2 joined as a generation 1 range led by a ["a"]
            2 a sync assigns
                kept
                #3 synced "for a"
            3 a beat: Ok(())
            4 a commit: Ok(())
            5 a leave: Ok(())
                kept
            → Empty generation 2
        "#]],
    );
}

#[test]
fn a_second_member_rebalances_the_group() {
    check(
        "0 a join
         1 a sync assigns
         2 b join
         3 a beat
         4 a commit
         5 a rejoin
         6 b sync
         7 b commit
         8 a sync assigns
         9 b beat
         10 b beat gen=1",
        expect![[r#"
            0 a join
                #1 joined as a generation 1 range led by a ["a"]
            1 a sync assigns
                kept
                #2 synced "for a"
            2 b join
            3 a beat: Err(RebalanceInProgress)
            4 a commit: Ok(())
            5 a rejoin
                #4 joined as a generation 2 range led by a ["a", "b"]
                #3 joined as b generation 2 range led by a []
            6 b sync
            7 b commit: Err(RebalanceInProgress)
            8 a sync assigns
                kept
                #6 synced "for a"
                #5 synced "for b"
            9 b beat: Ok(())
            10 b beat gen=1: Err(IllegalGeneration { current: 2 })
            → Stable generation 2
        "#]],
    );
}

#[test]
fn a_silent_leader_is_replaced() {
    check(
        "0 a join
         1 b join
         2 a rejoin
         3 b sync
         60003 - tick
         60004 b rejoin
         60005 b sync assigns",
        expect![[r#"
            0 a join
                #1 joined as a generation 1 range led by a ["a"]
            1 b join
            2 a rejoin
                #3 joined as a generation 2 range led by a ["a", "b"]
                #2 joined as b generation 2 range led by a []
            3 b sync
            60003 - tick
                #4 sync refused: RebalanceInProgress
            60004 b rejoin
                #5 joined as b generation 3 range led by b ["b"]
            60005 b sync assigns
                kept
                #6 synced "for b"
            → Stable generation 3
        "#]],
    );
}

#[test]
fn a_member_that_joins_during_sync_starts_over() {
    check(
        "0 a join
         1 b join
         2 a sync assigns
         3 a rejoin
         4 b sync
         5 a sync assigns",
        expect![[r#"
            0 a join
                #1 joined as a generation 1 range led by a ["a"]
            1 b join
            2 a sync assigns
                #3 sync refused: RebalanceInProgress
            3 a rejoin
                #4 joined as a generation 2 range led by a ["a", "b"]
                #2 joined as b generation 2 range led by a []
            4 b sync
            5 a sync assigns
                kept
                #6 synced "for a"
                #5 synced "for b"
            → Stable generation 2
        "#]],
    );
}

#[test]
fn a_static_member_comes_back_without_a_rebalance() {
    check(
        "0 a join instance=i
         1 a sync assigns instance=i
         2 a2 join instance=i
         3 a beat instance=i
         4 a2 beat instance=i
         5 a2 sync instance=i
         6 a leave instance=i
         7 a3 join instance=i skips",
        expect![[r#"
            0 a join instance=i
                #1 joined as a generation 1 range led by a ["a"]
            1 a sync assigns instance=i
                kept
                #2 synced "for a"
            2 a2 join instance=i
                kept
                #3 joined as a2 generation 1 range led by a []
            3 a beat instance=i: Err(FencedInstanceId)
            4 a2 beat instance=i: Ok(())
            5 a2 sync instance=i
                #4 synced "for a"
            6 a leave instance=i: Err(FencedInstanceId)
            7 a3 join instance=i skips
                kept
                #5 joined as a3 generation 1 range led by a3 ["a3"] skip
            → Stable generation 1
        "#]],
    );
}

#[test]
fn protocols_must_have_one_in_common() {
    check(
        "0 a join protocols=range,sticky
         1 b join protocols=roundrobin
         2 b join protocols=sticky
         3 a rejoin protocols=range,sticky",
        expect![[r#"
            0 a join protocols=range,sticky
                #1 joined as a generation 1 range led by a ["a"]
            1 b join protocols=roundrobin
                #2 join refused: InconsistentProtocol 
            2 b join protocols=sticky
            3 a rejoin protocols=range,sticky
                #4 joined as a generation 2 sticky led by a ["a", "b"]
                #3 joined as b generation 2 sticky led by a []
            → CompletingRebalance generation 2
        "#]],
    );
}

#[test]
fn a_full_group_takes_nobody() {
    check(
        "0 a join
         1 b join
         2 c join
         3 d join
         4 d rejoin",
        expect![[r#"
            0 a join
                #1 joined as a generation 1 range led by a ["a"]
            1 b join
            2 c join
            3 d join
                #4 join refused: MaxSizeReached { limit: 3 } 
            4 d rejoin
                #5 join refused: UnknownMemberId d
            → PreparingRebalance generation 1
        "#]],
    );
}

#[test]
fn silence_ends_a_session_and_an_unused_id_lapses() {
    check(
        "0 a new
         1 a rejoin
         2 a sync assigns
         3 b new
         10001 a beat
         10003 - tick
         20001 - tick
         20002 a beat",
        expect![[r#"
            0 a new
                #1 join refused: MemberIdRequired a
            1 a rejoin
                #2 joined as a generation 1 range led by a ["a"]
            2 a sync assigns
                kept
                #3 synced "for a"
            3 b new
                #4 join refused: MemberIdRequired b
            10001 a beat: Ok(())
            10003 - tick
            20001 - tick
                kept
            20002 a beat: Err(UnknownMemberId)
            → Empty generation 2
        "#]],
    );
}

#[test]
fn an_initial_delay_gathers_members() {
    let limits = Limits { members_max: 9, initial_rebalance_delay: 3_000 };
    expect![[r#"
        0 a join
        10 b join
        2999 - tick
        3000 - tick
            #1 joined as a generation 1 range led by a ["a", "b"]
            #2 joined as b generation 1 range led by a []
        → CompletingRebalance generation 1
    "#]]
    .assert_eq(&run(limits, "0 a join\n10 b join\n2999 - tick\n3000 - tick"));
}

#[test]
fn a_restored_group_goes_on_in_its_generation() {
    let mut group = Group::new(LIMITS);
    let mut effects = Vec::new();
    let join = Join {
        ticket: 1,
        member_id: String::new(),
        new_member_id: "a".to_owned(),
        instance_id: None,
        client_id: String::new(),
        client_host: String::new(),
        session_timeout: 10,
        rebalance_timeout: 10,
        protocol_type: "consumer".to_owned(),
        protocols: vec![Protocol { name: "range".to_owned(), metadata: Bytes::new() }],
        member_id_required: false,
        can_skip_assignment: false,
    };
    group.join(0, join, &mut effects);
    let kept: Kept = group.kept();
    let mut restored = Group::restored(LIMITS, 1_000, kept.clone());
    assert_eq!(restored.kept(), kept);
    let member = MemberRef { member_id: "a".to_owned(), instance_id: None, generation: 1 };
    assert_eq!(restored.heartbeat(1_005, &member), Ok(()));
    restored.tick(1_015, &mut effects);
    assert_eq!(restored.heartbeat(1_016, &member), Err(GroupError::UnknownMemberId));
}

#[test]
fn commits_from_outside_are_for_empty_groups() {
    let mut group = Group::new(LIMITS);
    let outside = MemberRef { member_id: String::new(), instance_id: None, generation: -1 };
    assert_eq!(group.check_commit(0, &outside, false), Ok(()));
    let mut effects = Vec::new();
    let protocols = vec![Protocol { name: "range".to_owned(), metadata: Bytes::new() }];
    let join = Join {
        ticket: 1,
        member_id: String::new(),
        new_member_id: "a".to_owned(),
        instance_id: None,
        client_id: String::new(),
        client_host: String::new(),
        session_timeout: 10,
        rebalance_timeout: 10,
        protocol_type: "consumer".to_owned(),
        protocols,
        member_id_required: false,
        can_skip_assignment: false,
    };
    group.join(0, join, &mut effects);
    assert_eq!(group.check_commit(1, &outside, false), Err(GroupError::UnknownMemberId));
    // A transaction's offsets of a producer that knows nothing of the group are let in, as Kafka does.
    assert_eq!(group.check_commit(1, &outside, true), Ok(()));
}
