"""People of a clip and clips of a person, by embeddings alone."""

import numpy as np
import pytest

from curation.scores.face_tracks import identities, people_of


def faces(people: list[int], seed: int, spread: float = 0.25) -> list[np.ndarray]:
    """One embedding for each of these people, a little different each time; people are far apart."""
    rng = np.random.default_rng(seed)
    rows = np.eye(8, 32)[people] + spread * rng.normal(size=(len(people), 32)) / np.sqrt(32) * 4
    return list((rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32))


SHOWN = [[0], [0, 1], [], [1, 0], [2], [1, 2, 0]]


@pytest.mark.parametrize("seed", range(5))
def test_each_face_goes_to_its_person_whatever_the_order_in_a_frame(seed):
    frames = [faces(people, 10 * seed + k, 0.1) for k, people in enumerate(SHOWN)]
    assert people_of(frames) == SHOWN  # they appear in the order of their numbers


def test_two_faces_of_one_frame_are_two_people_even_if_they_are_alike():
    (one,) = faces([0], 0)
    assert people_of([[one, one], [one]])[0] == [0, 1]
    assert people_of([[one], [one], [one]]) == [[0], [0], [0]]


def test_people_who_turn_out_to_be_near_become_one():
    at = lambda degrees: np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))])  # noqa: E731
    frames = [[at(0)], [at(65)], [at(40)], [at(35)]]
    assert frames[0][0] @ frames[1][0] < 0.5
    assert people_of(frames) == [[0], [0], [0], [0]]
    assert people_of([[at(0)], [at(80)]]) == [[0], [1]]


def test_clips_of_one_person_are_connected_and_order_does_not_matter():
    people = [0, 3, 1, 0, 1, 2, 0]
    rows = np.array(faces(people, 1, 0.1))
    found = identities(rows, 0.5)
    assert found == [[0, 3, 6], [1], [2, 4], [5]]
    order = np.random.default_rng(0).permutation(len(people))
    again = identities(rows[order], 0.5)
    assert sorted(sorted(order[rows_].tolist()) for rows_ in again) == found
