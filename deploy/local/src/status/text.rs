//! How streams and read models stand, as a person reads it.

use comfy_table::Cell;
use readmodel::ActiveRunner;

use super::{Status, StreamCopy, StreamStatus, Unanswered};
use crate::{
    output::{Report, number, table},
    wire,
};

impl StreamStatus {
    /// How many copies there are, and which of them is not as it should be.
    fn copies(&self) -> String {
        let mut told = vec![self.replicas.to_string()];
        if self.replicas > 1 && self.leader.is_none() {
            told.push("无主 no leader".to_owned());
        }
        let faulty = self.copies.iter().filter_map(|copy| {
            let StreamCopy { server, behind, .. } = copy;
            if copy.offline {
                Some(format!("{server} 离线 away"))
            } else if copy.current {
                None
            } else {
                Some(format!("{server} 落后 behind {behind}"))
            }
        });
        told.extend(faulty);
        told.join(", ")
    }
}

/// Who brings a read model on, as the database knows it.
fn runner(active: Option<&ActiveRunner>) -> Cell {
    let told = active.map(|active| match &active.address {
        Some(address) => format!("{} {address}", active.name),
        None => active.name.clone(),
    });
    told.unwrap_or_default().into()
}

impl Report for Status {
    fn text(&self) -> String {
        let standing = &self.standing;
        let mut streams = table([
            "流 stream",
            "消息 messages",
            "字节 bytes",
            "主题 subjects",
            "末位 last",
            "副本 copies",
        ]);
        for stream in &standing.streams {
            streams.add_row([
                stream.name.clone().into(),
                number(stream.messages),
                number(stream.bytes),
                number(stream.subjects),
                number(stream.last_sequence),
                number(stream.copies()),
            ]);
        }
        let mut projections = table([
            "读模型 read model",
            "版本 version",
            "流 stream",
            "位置 position",
            "落后 lag",
            "搁置 parked",
            "更新 moved",
            "运行者 run by",
        ]);
        for one in &standing.projections {
            projections.add_row([
                one.projection.clone().into(),
                number(one.version),
                one.stream.clone().into(),
                number(one.position),
                number(one.lag.map(|lag| lag.to_string()).unwrap_or_default()),
                number(one.parked),
                wire::local_time(one.updated_at).into(),
                runner(one.runner.as_ref()),
            ]);
        }
        let mut text = format!("{}\n{streams}\n{projections}", standing.whereabouts());
        if !standing.absent.is_empty() {
            let absent = standing.absent.join(", ");
            text.push_str(&format!("\n缺少的流 streams that are missing: {absent}"));
        }
        for Unanswered { name, reason } in &standing.unanswered {
            text.push_str(&format!(
                "\n无应答的流 of the stream {name} nobody tells anything: {reason}"
            ));
        }
        for Unanswered { name, reason } in &standing.databases_away {
            text.push_str(&format!(
                "\n数据库无应答 of the read models of {name} nobody tells anything: {reason}"
            ));
        }
        if !self.parked.is_empty() {
            let mut parked = table(["搁置 parked", "event", "reason", "position"]);
            for event in &self.parked {
                parked.add_row([
                    &event.projection,
                    &event.event_type,
                    &event.reason,
                    &format!("{}:{}", event.stream, event.sequence),
                ]);
            }
            text.push_str(&format!("\n{parked}"));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(leader: Option<&str>, copies: Vec<StreamCopy>) -> StreamStatus {
        StreamStatus {
            name: "VISITS".to_owned(),
            messages: 0,
            bytes: 0,
            subjects: 0,
            last_sequence: 0,
            replicas: copies.len() + 1,
            leader: leader.map(str::to_owned),
            copies,
        }
    }

    fn copy(server: &str, current: bool, offline: bool, behind: u64) -> StreamCopy {
        StreamCopy {
            server: server.to_owned(),
            current,
            offline,
            behind,
        }
    }

    #[test]
    fn of_copies_those_are_named_that_are_not_as_they_should_be() {
        assert_eq!(stream(None, Vec::new()).copies(), "1");
        let well = vec![
            copy("nats-1", true, false, 0),
            copy("nats-2", true, false, 3),
        ];
        assert_eq!(stream(Some("nats-0"), well).copies(), "3");
        let faulty = vec![
            copy("nats-1", false, true, 9),
            copy("nats-2", false, false, 120),
        ];
        let told = stream(None, faulty).copies();
        assert_eq!(
            told,
            "3, 无主 no leader, nats-1 离线 away, nats-2 落后 behind 120"
        );
    }
}
