//! Stories told to the fold, and what it makes of them.

use uuid::Uuid;
use weft_model::name::{ClientName, PortId, ProductId};

use crate::key::Key;
use crate::record::{Change, Event, Hand, VERSION};
use crate::service::parse;
use crate::state::{Refusal, Standing, State, Taken};
use crate::why;

fn client(name: &str) -> ClientName {
    name.parse().unwrap()
}

fn port(name: &str) -> PortId {
    let product = ProductId { domain: "insights".parse().unwrap(), product: "delays".parse().unwrap() };
    PortId { product, port: name.parse().unwrap(), major: 1 }
}

/// A state that is told changes one after the other, through their JSON form.
#[derive(Default)]
struct Story {
    state: State,
    told: Vec<Event>,
}

impl Story {
    fn tell(&mut self, by: &str, change: Change) -> Taken {
        let hand = Hand { by: by.to_owned(), via: "cli".to_owned() };
        let at = format!("2026-11-23T10:00:{:02}Z", self.told.len());
        let event = Event { v: VERSION, id: Uuid::new_v4(), at, hand, change };
        let json = serde_json::to_vec(&event).unwrap();
        assert_eq!(parse(&json), Ok(event.clone()), "{}", String::from_utf8_lossy(&json));
        let taken = self.state.take(i64::try_from(self.told.len()).unwrap(), &event);
        self.told.push(event);
        taken
    }

    fn create(&mut self, name: &str) -> Key {
        let key = Key::new();
        let taken = self.tell("ann", Change::ClientCreated { client: client(name), key: key.record() });
        assert_eq!(taken.refused, None);
        key
    }

    fn request(&mut self, name: &str, of: &str) -> Taken {
        let topic = format!("insights.delays.{of}.v1");
        let purpose = "a dashboard".to_owned();
        self.tell(name, Change::Requested { client: client(name), port: port(of), topic, purpose })
    }

    fn approve(&mut self, request: u64) -> Taken {
        self.tell("olga", Change::Approved { request, reason: "fine".to_owned() })
    }

    fn standing(&self, request: u64) -> Standing {
        self.state.request(request).unwrap().standing
    }
}

#[test]
fn what_is_approved_may_be_read_until_it_is_revoked() {
    let mut story = Story::default();
    story.create("app");
    assert_eq!(story.request("app", "current").request, Some(1));
    assert!(!story.state.may_read(&client("app"), &port("current")), "asking is not having");
    story.approve(1);
    assert!(story.state.may_read(&client("app"), &port("current")));
    assert!(!story.state.may_read(&client("app"), &port("late")), "nothing else");
    assert!(story.state.may_read_topic(&client("app"), "insights.delays.current.v1"));
    assert!(!story.state.may_read_topic(&client("app"), "__weft.m.audit"));
    let shrinks = story.state.client(&client("app")).unwrap().shrinks;
    story.tell("olga", Change::Revoked { request: 1, reason: "misuse".to_owned() });
    assert!(!story.state.may_read(&client("app"), &port("current")));
    assert_eq!(story.state.client(&client("app")).unwrap().shrinks, shrinks + 1);
}

#[test]
fn the_first_decision_counts_and_the_second_is_told_so() {
    let mut story = Story::default();
    story.create("app");
    story.request("app", "current");
    story.tell("olga", Change::Denied { request: 1, reason: "no".to_owned() });
    let at = "2026-11-23T10:00:02Z".to_owned();
    let decided = Refusal::Decided { request: 1, standing: Standing::Denied, by: "olga".to_owned(), at };
    assert_eq!(story.approve(1).refused, Some(decided.clone()));
    assert_eq!(story.approve(1).refused, Some(decided), "a void record does not become the decision");
    assert_eq!(story.standing(1), Standing::Denied);
    assert_eq!(story.approve(2).refused, Some(Refusal::NoRequest { request: 2 }));
    assert_eq!(story.approve(0).refused, Some(Refusal::NoRequest { request: 0 }));
    let revoked = story.tell("olga", Change::Revoked { request: 1, reason: "x".to_owned() });
    assert_eq!(revoked.refused, Some(Refusal::NothingToRevoke { request: 1, standing: Standing::Denied }));
}

#[test]
fn a_denied_client_may_ask_again_and_a_waiting_one_may_not() {
    let mut story = Story::default();
    story.create("app");
    story.request("app", "current");
    let waits = Refusal::Waits { request: 1, client: client("app"), port: port("current") };
    assert_eq!(story.request("app", "current").refused, Some(waits));
    story.tell("olga", Change::Denied { request: 1, reason: "say what for".to_owned() });
    assert_eq!(story.request("app", "current").request, Some(2));
    story.approve(2);
    let may = Refusal::MayAlready { request: 2, client: client("app"), port: port("current") };
    assert_eq!(story.request("app", "current").refused, Some(may));
}

#[test]
fn keys_open_until_they_are_rotated_or_their_client_removed() {
    let mut story = Story::default();
    let first = story.create("app");
    let other = story.create("other");
    let holder = |story: &Story, key: &Key| story.state.holder(key.reveal()).map(|client| client.name.to_string());
    assert_eq!(holder(&story, &first).as_deref(), Some("app"));
    assert_eq!(holder(&story, &other).as_deref(), Some("other"));
    let mixed = format!("weft_{}_{}", first.id(), other.reveal().rsplit('_').next().unwrap());
    assert!(story.state.holder(&mixed).is_none(), "the id of one and the secret of another");
    assert_eq!(holder(&story, &Key::new()), None, "guessed");
    let second = Key::new();
    story.tell("ann", Change::KeyRotated { client: client("app"), key: second.record() });
    assert_eq!((holder(&story, &first), holder(&story, &second).as_deref()), (None, Some("app")));
    story.request("app", "current");
    story.approve(1);
    story.request("app", "late");
    story.tell("ann", Change::ClientRemoved { client: client("app"), reason: "gone".to_owned() });
    assert_eq!(holder(&story, &second), None);
    assert_eq!((story.standing(1), story.standing(2)), (Standing::Revoked, Standing::Denied));
    let again = story.tell("ann", Change::ClientCreated { client: client("app"), key: Key::new().record() });
    assert_eq!(again.refused, Some(Refusal::ClientRemoved { client: client("app") }), "names are given out once");
    assert_eq!(story.request("app", "errors").refused, Some(Refusal::ClientRemoved { client: client("app") }));
}

#[test]
fn a_record_that_a_retry_wrote_twice_counts_once() {
    let mut story = Story::default();
    story.create("app");
    let (second, third) = (Key::new(), Key::new());
    story.tell("ann", Change::KeyRotated { client: client("app"), key: second.record() });
    let again = story.told[1].clone();
    story.tell("ann", Change::KeyRotated { client: client("app"), key: third.record() });
    assert_eq!(story.state.take(3, &again).refused, Some(Refusal::Twice));
    assert!(story.state.holder(second.reveal()).is_none() && story.state.holder(third.reveal()).is_some());
}

#[test]
fn nobody_comes_in_by_a_name_that_is_not_there() {
    let mut story = Story::default();
    assert_eq!(story.request("ghost", "current").refused, Some(Refusal::NoClient { client: client("ghost") }));
    story.create("app");
    let twice = story.tell("bob", Change::ClientCreated { client: client("app"), key: Key::new().record() });
    let (at, by) = ("2026-11-23T10:00:01Z".to_owned(), "ann".to_owned());
    assert_eq!(twice.refused, Some(Refusal::ClientExists { client: client("app"), at, by }));
}

#[test]
fn the_story_of_an_answer_names_every_record() {
    let mut story = Story::default();
    story.create("app");
    story.request("app", "current");
    story.approve(1);
    story.approve(1);
    let told = why::of_client(&story.state, &client("app"), Some(&port("current"))).unwrap();
    for words in [
        "client \"app\" may read port \"insights.delays.current@1\"",
        "requested by app (cli): a dashboard  · audit offset 1",
        "approved by olga (cli): fine  · audit offset 2",
        "without effect: request 1 was approved by olga",
    ] {
        assert!(told.contains(words), "\"{words}\" is missing in:\n{told}");
    }
    let other = why::of_client(&story.state, &client("app"), Some(&port("late"))).unwrap();
    assert!(other.contains("may not read") && other.contains("asked for nothing"), "{other}");
    assert!(why::of_client(&story.state, &client("ghost"), None).is_none());
    assert!(why::of_request(&story.state, 2).is_none());
}

#[test]
fn a_record_of_a_newer_version_is_not_guessed_at() {
    assert!(parse(br#"{"v":2,"what":"blessed"}"#).unwrap_err().contains("version 2"));
    assert!(parse(b"").is_err());
    assert!(parse(br#"{"v":1,"what":"blessed"}"#).is_err());
}
