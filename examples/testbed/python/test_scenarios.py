"""Scenarios without a browser, `cabled register` and `sign-in` being the laptop: every action of the person and
every fault of the way at least once. CABLED_TESTBED_LOOPS=N runs them N times."""

import base64
import os
import time

import pytest

from cabled_testbed import approve, close, corrupt, decline, drop, late, refuse, wrong_pin
from test_relying_party import register, registered

AAGUID = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"


def signed_in(site, laptop, phone, *answers, **script):
    shown = laptop("sign-in")
    ceremony = phone.submit(shown.code(), *answers, **script)
    account = site.ask("/api/sign-in/finish", shown.answer())["account"]
    assert ceremony.wait().outcome == "signed-in" and ceremony.as_scripted
    return account


def test_what_was_asked_is_told(site, laptop, phone):
    shown, ceremony = register(site, laptop, phone, "anna")
    site.ask("/api/register/finish", shown.answer())
    asked, = ceremony.wait().requests
    assert (asked["command"], asked["rpId"], asked["account"]) == ("makeCredential", "localhost", "anna")
    assert (asked["excludeList"], asked["options"]["rk"], asked["options"]["uv"]) == (0, True, True)
    assert "credProtect" in asked["extensions"] and -7 in asked["algorithms"]
    assert ceremony.relay["phone"] == {"connections": 1, "frames": 3}
    assert signed_in(site, laptop, phone) == "anna"


@pytest.mark.parametrize("answer", [decline(), wrong_pin()])
def test_the_person_refuses(site, laptop, phone, answer):
    shown, ceremony = register(site, laptop, phone, "anna", answer)
    assert shown.end() == 6
    assert ceremony.wait().outcome == "refused" and ceremony.as_scripted


def test_the_person_thinks_first(site, laptop, testbed):
    phone = testbed.phone(pin="246810")
    began = time.monotonic()
    shown, ceremony = register(site, laptop, phone, "anna", approve(delay=0.4))
    site.ask("/api/register/finish", shown.answer())
    assert ceremony.wait().outcome == "registered" and time.monotonic() - began >= 0.4
    phone.remove()


def test_a_planted_account_is_among_several(site, laptop, phone):
    registered(site, laptop, phone, "anna")
    phone.plant("localhost", b"ben", userName="ben")
    assert signed_in(site, laptop, phone, approve(account="anna")) == "anna"


def test_a_planted_passkey_is_unknown_to_the_site(site, laptop, phone):
    planted = phone.plant("localhost", b"ben", userName="ben")
    assert len(base64.urlsafe_b64decode(planted["cosePublicKey"] + "===")) == 77
    shown = laptop("sign-in")
    phone.submit(shown.code())
    assert planted["id"][:12] in str(site.refuses("/api/sign-in/finish", shown.answer()))


def test_the_passkey_was_deleted_on_the_phone(site, laptop, phone):
    answer = registered(site, laptop, phone, "anna")
    phone.delete(answer["credential"]["id"])
    shown = laptop("sign-in")
    ceremony = phone.submit(shown.code(), decline())  # there is nothing to approve
    assert shown.end() != 0
    assert ceremony.wait().events("asked")[0]["question"] == "nothing-found"


@pytest.mark.parametrize("point", ["after-handshake", "before-consent", "after-consent"])
def test_the_phone_is_gone(site, laptop, phone, point):
    shown, ceremony = register(site, laptop, phone, "anna", walk_away=point)
    assert shown.end() != 0
    assert ceremony.wait().outcome == "walked-away" and ceremony.as_scripted
    assert phone.passkeys() == []


@pytest.mark.parametrize("point", ["before-advert", "after-advert"])
def test_the_phone_does_not_come(site, laptop, phone, point):
    _, ceremony = register(site, laptop, phone, "anna", walk_away=point)
    assert ceremony.wait().outcome == "walked-away" and ceremony.as_scripted
    assert ceremony.requests == [] and phone.passkeys() == []


def test_the_phone_does_not_know(site, laptop, phone):
    shown, ceremony = register(site, laptop, phone, "anna", walk_away="after-answer")
    site.ask("/api/register/finish", shown.answer())
    assert ceremony.wait().as_scripted and phone.passkeys()[0]["state"] == "created"


def test_the_phone_is_taken_away(site, laptop, testbed):
    phone = testbed.phone()
    shown, ceremony = register(site, laptop, phone, "anna", approve(delay=60))
    ceremony.until("asked")
    phone.remove()
    assert ceremony.wait().outcome == "walked-away" and shown.end() != 0


@pytest.mark.parametrize("fault", [
    refuse("laptop", 404), corrupt("laptop", 1), corrupt("phone", 1), corrupt("phone", 2), close("phone", 1),
    close("laptop", 2),
])
def test_the_relay_fails(site, laptop, phone, fault):
    shown, ceremony = register(site, laptop, phone, "anna", relay=[fault])
    assert shown.end() != 0
    ceremony.until_struck()
    assert phone.passkeys() == []


@pytest.mark.parametrize("fault", [refuse("phone", 503), drop("phone", 1), drop("laptop", 2)])
def test_the_laptop_waits_for_what_the_relay_lost(site, laptop, phone, fault):
    _, ceremony = register(site, laptop, phone, "anna", relay=[fault])
    ceremony.until_struck()
    assert ceremony.relay["faults"] == [{**fault, "hits": 1}] and phone.passkeys() == []


@pytest.mark.parametrize("fault", [drop("phone", 3), corrupt("phone", 3)])
def test_a_lost_answer_leaves_an_orphan(site, laptop, phone, fault):
    _, ceremony = register(site, laptop, phone, "anna", relay=[fault])
    ceremony.until_struck()
    assert [passkey["state"] for passkey in phone.passkeys()] == ["created"]
    assert site.state()["methods"] == []


def test_the_relay_is_slow(site, laptop, phone):
    shown, ceremony = register(site, laptop, phone, "anna", relay=[late("laptop", 2, 0.3)])
    site.ask("/api/register/finish", shown.answer())
    assert ceremony.wait().outcome == "registered" and ceremony.relay["faults"][0]["hits"] == 1


def test_no_advert_is_heard(site, laptop, testbed):
    phone = testbed.phone(adverts="lost")
    _, ceremony = register(site, laptop, phone, "anna")
    ceremony.until("advertising")
    phone.remove()
    assert ceremony.wait().outcome == "walked-away" and ceremony.relay["laptop"]["connections"] == 0


@pytest.mark.parametrize("setup", [{"adverts": "late", "delay": 0.4}, {"adverts": "replayed"}])
def test_adverts_are_late_or_replayed(site, laptop, testbed, setup):
    phone = testbed.phone(**setup)
    registered(site, laptop, phone, "anna")
    assert signed_in(site, laptop, phone) == "anna"
    phone.remove()


def test_strangers_adverts_storm(site, laptop, phone):
    site.ask("/api/enter", {"name": "anna"})
    shown = laptop("register", radio=f"{os.environ['CABLED_RADIO']},foreign=2000")
    ceremony = phone.submit(shown.code())
    site.ask("/api/register/finish", shown.answer())
    assert ceremony.wait().outcome == "registered"


def test_a_phone_that_does_not_say_that_it_verified(site, laptop, testbed):
    """A laptop that was asked for it looks too; otherwise the site is the only one that can."""
    phone = testbed.phone(unverified=True)
    shown, ceremony = register(site, laptop, phone, "anna")
    if shown.end() == 0:
        site.refuses("/api/register/finish", shown.answer())
    assert ceremony.wait().requests[0]["options"]["uv"] and site.state()["methods"] == []
    phone.remove()


def test_a_make_of_its_own(site, laptop, testbed):
    phone = testbed.phone(aaguid=AAGUID)
    registered(site, laptop, phone, "anna")
    assert site.state()["methods"][0]["make"] == AAGUID
    phone.remove()

