"""An LTI 1.3 platform's grade services, by pylti1p3next (pip install "maml_edu[lti]"): `Client`."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from typing import Any

import requests

Score = dict[str, Any]

AGS = "https://purl.imsglobal.org/spec/lti-ags/scope/"
SCOPES = [AGS + name for name in ("lineitem", "score", "result.readonly")]
SECONDS = 30  # for an answer
NOT_TAKEN = (400, 403, 404, 409, 422)  # of one score; anything else is about all


class Refused(Exception):
    """A score that the platform does not take, of a student who has left, say."""


class Client:
    """A platform as `ags.Platform`. settings: those of lti.toml; key: our private key, in PEM."""

    def __init__(self, settings: Mapping[str, str], key: str) -> None:
        from pylti1p3.assignments_grades import AssignmentsGradesService

        self._connector = _connector(settings, key)
        self._members_url = settings.get("members")
        where: Any = {"scope": SCOPES, "lineitems": settings["line_items"]}
        self._grades = AssignmentsGradesService(self._connector, where)

    def members(self) -> list[Mapping[str, Any]] | None:
        """The members of the course; None where lti.toml does not say where to ask."""
        from pylti1p3.names_roles import NamesRolesProvisioningService

        if not self._members_url:
            return None
        where: Any = {"context_memberships_url": self._members_url}
        with _told():
            return list(NamesRolesProvisioningService(self._connector, where).get_members())

    def line_item(self, resource: str, label: str, maximum: float) -> tuple[str, float]:
        """As `ags.Platform` says."""
        from pylti1p3.lineitem import LineItem

        new = LineItem()
        new.set_resource_id(resource).set_label(label).set_score_maximum(maximum)
        with _told():
            item = self._grades.find_or_create_lineitem(new, find_by="resource_id")
        address, there = item.get_id(), item.get_score_maximum()
        if not address:
            raise RuntimeError("the platform gives its line item no address (id).")
        return address, float(maximum if there is None else there)

    def results(self, line_item: str) -> dict[str, dict[str, Any]]:
        """As `ags.Platform` says."""
        from pylti1p3.lineitem import LineItem

        with _told():
            found = self._grades.get_grades(LineItem({"id": line_item}))
            return {str(result.get("userId")): result for result in found}

    def send(self, line_item: str, score: Score) -> None:
        """As `ags.Platform` says."""
        from pylti1p3.grade import Grade
        from pylti1p3.lineitem import LineItem

        grade = Grade()
        grade.set_user_id(score["userId"]).set_timestamp(score["timestamp"])
        grade.set_activity_progress(score["activityProgress"])
        grade.set_grading_progress(score["gradingProgress"])
        if comment := score.get("comment"):
            grade.set_comment(comment)
        if "scoreGiven" in score:
            grade.set_score_given(score["scoreGiven"]).set_score_maximum(score["scoreMaximum"])
        with _told(one=True):
            self._grades.put_grade(grade, LineItem({"id": line_item}))


def _connector(settings, key):
    """What signs for us, fetches a token, and keeps it until shortly before it ends."""
    from pylti1p3.registration import Registration
    from pylti1p3.service_connector import ServiceConnector

    class Registered(Registration):
        def get_kid(self):
            return settings.get("kid") or super().get_kid()

    class Connector(ServiceConnector):
        tokens: dict[str, tuple[str, float]] = {}

        def _get_cached_access_token(self, scope_key):
            token, until = self.tokens.get(scope_key, (None, 0.0))
            return token if time.monotonic() < until else None

        def _cache_access_token(self, scope_key, access_token, expires_in):
            self.tokens[scope_key] = access_token, time.monotonic() + float(expires_in or 0) - 60

    about = Registered()
    about.set_issuer(settings["issuer"]).set_client_id(settings["client_id"])
    about.set_auth_token_url(settings["token_url"]).set_tool_private_key(key)
    about.set_tool_public_key(_public(key))
    if settings.get("audience"):
        about.set_auth_audience(settings["audience"])
    return Connector(about, _Session())


class _Session(requests.Session):
    def request(self, *args, **kwargs):
        kwargs.setdefault("timeout", SECONDS)
        return super().request(*args, **kwargs)


@contextlib.contextmanager
def _told(one: bool = False):
    """What goes wrong on the way, as OSError; of one score alone, as Refused."""
    from pylti1p3.exception import LtiException, LtiServiceException

    try:
        yield
    except LtiServiceException as error:
        said = f"{error.response.status_code} {error.response.text[:200]}".strip()
        if one and error.response.status_code in NOT_TAKEN and "access token" not in str(error):
            raise Refused(said) from error
        raise OSError(f"{error} {error.response.text[:200]}".strip()) from error
    except (LtiException, ValueError) as error:
        raise OSError(str(error)) from error


def _public(private: str) -> str:
    """The public half of a key in PEM."""
    from cryptography.hazmat.primitives import serialization

    key = serialization.load_pem_private_key(private.encode(), None).public_key()
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_bytes(serialization.Encoding.PEM, form).decode()
