"""x"""


def markdown(builds: object) -> str:
    return ""
