/** The page's language for numbers and days; English reads 1 Jan 2000 on every page, as the server writes it. */
export function pageLocale(): string {
  const language = globalThis.document?.documentElement.lang || 'en';
  return language === 'en' ? 'en-GB' : language;
}
