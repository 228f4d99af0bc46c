"""Which names a C++ file keeps to itself: those that it defines in anonymous namespaces outside of braces. It reads what
clang-format and a compiler have been over, so a few patterns tell one definition from another."""

import re

# Comments, preprocessor's lines, strings and characters (a quote between digits is none).
NOISE = re.compile(r'//[^\n]*|/\*.*?\*/|^[ \t]*#(?:\\\n|[^\n])*|R"([^(\s]*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"'
                   r"|(?<![\da-fA-F])'(?:\\.|[^'\\\n])+'", re.S | re.M)
NAMESPACE = re.compile(r"\s*(?:inline\s+)?namespace\b\s*(?:([\w:]+)\s*)?")
KIND = re.compile(r"(?:struct|class|union|enum(?:\s+(?:class|struct))?)\s+(\w+)(?:\s+final)?\s*(?::[^:].*)?", re.S)
WORDS_WITH_ROUND = re.compile(r"\b(?:alignas|decltype|noexcept|explicit|__attribute__)\s*\((?:[^()]|\([^()]*\))*\)")
MEMBERS_SET = re.compile(r"\)\s*(?:noexcept\s*)?:[^:].*[\w>]$", re.S)


def without_angles(text):
    """Template arguments and parameters gone, shifts and comparisons left."""
    while (less := re.sub(r"(?:\btemplate\s*|(?<=\w))<[^<>;=]*(?:=[^<>;]*)?>", " ", text)) != text:
        text = less
    return text


def plain(head):
    return " ".join(without_angles(WORDS_WITH_ROUND.sub(" ", re.sub(r"\[\[.*?\]\]", " ", head))).split())


def is_function(head):
    """Whether the brace behind this head opens a function's body, not values or members."""
    return not KIND.fullmatch(head) and "(" in re.split(r"(?<!operator)(?<!operator=)=", head)[0] and not MEMBERS_SET.search(head)


def statements(text):
    """(in an anonymous namespace, what stands outside of braces, is it a function) for all that a file has outside of functions."""
    text = NOISE.sub(lambda match: '""' if match.group()[0] in 'R"' else " ", text)
    spaces, outside, depth, rounds, start, function = [], "", 0, 0, 0, False
    for token in re.finditer(r"[(){};]", text):
        sign, done = token.group(), False
        if depth == 0:
            outside += text[start:token.start()]
            start = token.start()
        if sign in "()":
            rounds += 0 if depth else 1 if sign == "(" else -1
        elif sign == "{":
            space = NAMESPACE.fullmatch(outside) if depth + rounds == 0 else None
            if space:
                spaces.append(space.group(1) is None)
                outside, start = "", token.end()
                continue
            function = function or (depth + rounds == 0 and is_function(plain(outside)))
            depth += 1
        elif sign == "}" and depth == 0:
            spaces = spaces[:-1]
            outside, start = "", token.end()
        elif sign == "}":
            depth -= 1
            if depth == 0:
                outside += "{}"
                start = token.end()
                done = rounds == 0 and function
        else:
            done = depth + rounds == 0
        if done:
            yield any(spaces), plain(outside), function
            outside, start, function = "", token.end(), False


def defined(head, function):
    """(name, what it stands for if it is an alias) of each name that one statement defines; a declaration defines none."""
    if alias := re.match(r"(?:using|namespace) (\w+) = ?(.*)", head):
        return [(alias.group(1), alias.group(2))]
    if re.match(r"(?:using|typedef|friend|extern|static_assert|namespace)\b", head) or "operator" in head:
        return []
    if function:
        name = re.search(r"([\w:~]+) ?\(", head)
        macro = name and (name.group(1) == "TEST" or re.fullmatch(r"[A-Z]+(_[A-Z]+)+", name.group(1)))
        return [(name.group(1), None)] if name and "::" not in name.group(1) and not macro else []
    if re.match(r"enum\b(?: : ?[\w:]+ ?)?\{", head):
        return []
    if kind := KIND.fullmatch(head.split("{")[0].strip()):
        return [(kind.group(1), None)] if "{" in head else []
    if pointer := re.match(r"[^=]*\( ?\* ?(?:const )?(\w+)", head):
        return [(pointer.group(1), None)]
    if made := re.match(r'[^=(]*?(\w+) ?\( ?(?:"|[-\d])', head):
        return [(made.group(1), None)]  # from a number or a text
    if re.match(r"[^=]*\(", head):
        return []  # a function's declaration
    while (less := re.sub(r"\([^()]*\)|\[[^\[\]]*\]|\{\}", "", head)) != head:
        head = less
    return [(name.group(1), None) for part in head.split(",") if (name := re.search(r"(\w+) ?$", part.split("=")[0]))]


def own_names(text):
    """{name: what it stands for if it is an alias, else None}"""
    found = {}
    for own, head, function in statements(text):
        for name, meaning in defined(head, function) if own else []:
            found.setdefault(name, meaning)
    return found
