"""What a site's own tests may look like: the way over a phone, and what goes wrong on it."""

import json

import pytest

from cabled_testbed import Refused, approve, decline, wrong_pin


def register(site, laptop, phone, name, *answers, **script):
    site.ask("/api/enter", {"name": name})
    shown = laptop("register")
    return shown, phone.submit(shown.code(), *answers, **script)


def registered(site, laptop, phone, name):
    shown, ceremony = register(site, laptop, phone, name)
    answer = shown.answer()
    site.ask("/api/register/finish", answer)
    assert ceremony.wait().outcome == "registered"
    return answer


def test_register_and_sign_in(site, laptop, phone):
    registered(site, laptop, phone, "anna")
    assert [passkey["state"] for passkey in phone.passkeys()] == ["delivered"]
    shown = laptop("sign-in")
    ceremony = phone.submit(shown.code())
    assert site.ask("/api/sign-in/finish", shown.answer())["account"] == "anna"
    assert ceremony.wait().outcome == "signed-in" and ceremony.as_scripted
    assert [passkey["state"] for passkey in phone.passkeys()] == ["used"]


def test_one_of_several_accounts(site, laptop, phone):
    for name in ["anna", "ben"]:
        registered(site, laptop, phone, name)
        site.ask("/api/leave", {})
    for name in ["ben", "anna"]:
        shown = laptop("sign-in")
        ceremony = phone.submit(shown.code(), approve(account=name))
        assert site.ask("/api/sign-in/finish", shown.answer())["account"] == name
        assert sorted(ceremony.wait().events("asked")[0]["accounts"]) == ["anna", "ben"]


@pytest.mark.parametrize("answer", [decline(), wrong_pin(), decline(delay=0.2)])
def test_the_person_does_not_agree(site, laptop, phone, answer):
    shown, ceremony = register(site, laptop, phone, "anna", answer)
    assert shown.end() == 6  # refused on the phone
    assert ceremony.wait().outcome == "refused" and ceremony.as_scripted
    assert phone.passkeys() == []


@pytest.mark.parametrize("point", ["after-handshake", "before-consent", "after-consent"])
def test_the_phone_is_gone_before_it_made_anything(site, laptop, phone, point):
    shown, ceremony = register(site, laptop, phone, "anna", walk_away=point)
    assert shown.end() != 0
    assert ceremony.wait().outcome == "walked-away"
    assert phone.passkeys() == []


def test_an_answer_that_the_site_never_gets_leaves_an_orphan(site, laptop, phone):
    """The browser has the answer, the site loses it: the phone offers a passkey that nobody knows."""
    shown, ceremony = register(site, laptop, phone, "anna")
    shown.answer()
    assert ceremony.wait().outcome == "registered"
    assert len(phone.passkeys()) == 1
    shown = laptop("sign-in")
    phone.submit(shown.code())
    refused = site.refuses("/api/sign-in/finish", shown.answer())
    # The site says which passkey to delete on the phone, by the beginning of its name.
    assert phone.passkeys()[0]["id"][:12] in json.dumps(refused)


def test_the_phone_does_not_know_that_its_answer_arrived(site, laptop, phone):
    shown, ceremony = register(site, laptop, phone, "anna", walk_away="after-answer")
    site.ask("/api/register/finish", shown.answer())
    assert ceremony.wait().outcome == "walked-away"
    assert [passkey["state"] for passkey in phone.passkeys()] == ["created"]


def test_a_replayed_answer_is_refused(site, laptop, phone):
    """What a site without a challenge of its own for each ceremony would take."""
    registered(site, laptop, phone, "anna")
    shown = laptop("sign-in")
    phone.submit(shown.code())
    answer = shown.answer()
    site.ask("/api/sign-in/finish", answer)
    other = laptop("sign-in")
    site.refuses("/api/sign-in/finish", {**answer, "ceremony": other.ceremony})


def test_what_cannot_be_done_is_said(testbed, phone):
    with pytest.raises(Refused) as refused:
        phone.submit("https://example.com/")
    assert (refused.value.status, refused.value.cause) == (422, "no-code")
    with pytest.raises(Refused) as refused:
        testbed.phone(phone.name)
    assert refused.value.cause == "phone-exists"
