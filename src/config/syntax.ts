/**
 * Messages for YAML errors. The parser's own messages repeat parts of the file, which may be the secret; these only say what to
 * do.
 */
import type { ErrorCode } from 'yaml';

const MESSAGES: Partial<Record<ErrorCode, string>> = {
  BAD_ALIAS: 'found a broken alias; text that begins with "*" or "&" must be in quotes',
  BAD_COLLECTION_TYPE:
    'found a list or mapping that does not fit its YAML tag; tags are not used in this file: remove it',
  BAD_DIRECTIVE: 'found an unknown YAML directive; remove the line that begins with "%"',
  BAD_DQ_ESCAPE: 'found an unknown escape after "\\" in double quotes; write "\\\\" for one backslash',
  BAD_INDENT: 'found wrong indentation or a list or mapping that is not closed; align it with its neighbours',
  BAD_SCALAR_START: 'found text that begins with a character that YAML reserves; write it in quotes',
  BLOCK_AS_IMPLICIT_KEY:
    'found a mapping after a single value; check the indentation, and quote text that holds ": "',
  BLOCK_IN_FLOW: 'found an indented list or mapping inside brackets; close the bracket first',
  KEY_OVER_1024_CHARS: 'found a key of more than 1024 characters; a colon may be misplaced',
  MISSING_CHAR:
    'something is missing here: a ":" after a key, a space, a comma, or a closing quote or bracket',
  MULTILINE_IMPLICIT_KEY:
    'found a key that runs over several lines; a ":" may be missing, or a quote not closed',
  MULTIPLE_DOCS:
    'found a second YAML document; expected one: remove this "---" or "..." line and the document that does not belong',
  NON_STRING_KEY: 'found a key that is a list, a mapping or an alias; expected text',
  RESOURCE_EXHAUSTION: 'lists or mappings are nested too deeply to be read',
  TAB_AS_INDENT: 'found a tab in the indentation; YAML allows only spaces',
  TAG_RESOLVE_FAILED:
    'found a value that does not fit its YAML tag; tags are not used in this file: remove it',
  UNEXPECTED_TOKEN: 'found something that does not belong here; check brackets, quotes and indentation',
};

export function syntaxMessage(code: ErrorCode): string {
  return `not valid YAML: ${MESSAGES[code] ?? 'this cannot be read; check indentation, quotes and brackets'}`;
}
