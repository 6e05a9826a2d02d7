/** Text for roff(7): characters that mean something to it stand for themselves, `code` in backquotes is bold. */
export function roffText(text: string): string {
  return text
    .split('`')
    .map((part, index) => (index % 2 === 1 ? `\\fB${escapeRoff(part, true)}\\fR` : escapeRoff(part, false)))
    .join('')
    .replace(/\. (?=[A-Z])/gu, '.\n') // a line each, as roff(7) wants sentences
    .replace(/^[.']/gmu, '\\&$&');
}

/** How a command is used: flags and words to be typed bold, what stands for a value italic. */
export function roffUsage(usage: string): string {
  return usage.replace(/[A-Z]+\b|-{1,2}[a-z][a-z-]*|--|[a-z]+|[^A-Za-z-]+|-/gu, (token) => {
    if (/^[A-Z]/u.test(token) || token === 'flags' || token === 'filters')
      return `\\fI${escapeRoff(token, true)}\\fR`;
    return /^[a-z-]/u.test(token) ? `\\fB${escapeRoff(token, true)}\\fR` : escapeRoff(token, false);
  });
}

/* A hyphen in what is typed is a minus sign, so that it can be copied. */
function escapeRoff(text: string, isTyped: boolean): string {
  const safe = text
    .replaceAll('\\', '\\e')
    .replaceAll("'", '\\(aq')
    .replaceAll('^', '\\(ha')
    .replaceAll('~', '\\(ti')
    .replaceAll('…', '\\&...')
    .replaceAll('→', '\\(->');
  return isTyped ? safe.replaceAll('-', '\\-') : safe.replace(/(?<=^|[\s(=,])-/gu, '\\-');
}
