"""The log as it was at some time, and the answers to it, put into three new regions."""

import json
from pathlib import Path

from infra.local.regions import LocalConfig, LocalRegions
from tests.e2e.conftest import REGIONS, SECRET, Running, free_block
from tests.e2e.test_three_regions import activation, change

US, EU, AP = REGIONS


def test_a_log_of_another_time_is_restored_and_what_was_lost_is_named(
    running: Running, tmp_path: Path
):
    command = activation()
    imsi = command["data"]["imsi"]
    first = running.post(EU, command, Prefer="wait=20").json()
    recover_the_log(running, to="antiphon-events-then")
    lost = running.post(AP, change(imsi, "lost", "gold"), Prefer="wait=20").json()
    assert lost["status"] == "answered"
    file = tmp_path / "backup.gz"
    made = running.cli("backup", str(file), "--events-table", "antiphon-events-then")
    assert made.exit_code == 0, made.output

    port = free_block(6)
    config = LocalConfig(
        base_port=port,
        aws_port=port + 5,
        directory=tmp_path,
        secret=SECRET,
        generation=2,
        wan="none",
    )
    with LocalRegions(config, progress=lambda _: None):
        new = Running(port, port + 5)
        restored = new.cli("restore", str(file), "--json")
        assert restored.exit_code == 0, restored.output
        told = json.loads(restored.output)
        assert [one["commit"] for one in told["lost"]] == [lost["commit"]]
        assert told["answers_owed"] == 0

        again = new.post(US, command, Prefer="wait=20").json()
        assert (again["duplicate"], again["answer"]) == (True, first["answer"])
        read = new.get(AP, f"/subscribers/{imsi}?consistency=strong").json()
        assert (read["service_profile"], read["applied_sequence"]) == ("consumer-5g", 1)
        refused = new.get(AP, f"/subscribers/{imsi}", Consistency_Token=lost["consistency_token"])
        assert (refused.status_code, refused.json()["code"]) == (422, "invalid_token")
        # Its producer sends what is lost again; it is decided and answered as what it is now.
        sent_again = new.post(AP, change(imsi, "lost", "gold"), Prefer="wait=20").json()
        assert (sent_again["status"], sent_again["duplicate"]) == ("answered", False)
        verified = new.cli("verify")
        assert verified.exit_code == 0, verified.output


def recover_the_log(running: Running, *, to: str) -> None:
    """Make a table of the log as it is now, as a recovery to this point in time would."""
    client = running.aws("dynamodb", US)
    made = client.create_backup(TableName="antiphon-events", BackupName="now")
    client.restore_table_from_backup(
        TargetTableName=to, BackupArn=made["BackupDetails"]["BackupArn"]
    )
    client.get_waiter("table_exists").wait(TableName=to)
