using System.Text;

namespace Evenkeel.Cli.Manual;

/// <summary>A page in the macros of man(7), built from top to bottom. Every text is escaped: what a user wrote is never a request.</summary>
internal sealed class Roff
{
    private readonly StringBuilder page = new();

    public Roff Head(string name, string version) => Line($".TH \"{Escape(name.ToUpperInvariant())}\" 8 \"\" \"{Escape("Evenkeel " + version)}\" \"System administration\"");

    public Roff Section(string title) => Line($".SH {Escape(title)}");
    public Roff Part(string title) => Line($".SS {Escape(title)}");
    public Roff Bold(string text) => Line($".B {Escape(text)}");

    /// <summary>A term, and below it, indented, what it means.</summary>
    public Roff Entry(string term, string meaning) => Line(".TP").Line($".B {Escape(term)}").Text(meaning);

    /// <summary>Filled paragraphs. A paragraph with an indented line is kept as it is: it is a table or an example.</summary>
    public Roff Text(string text)
    {
        var first = true;
        foreach (var paragraph in text.ReplaceLineEndings("\n").Trim('\n').Split("\n\n"))
        {
            if (!first)
                Line(".PP");
            first = false;
            var lines = paragraph.Split('\n');
            var kept = lines.Any(line => line.StartsWith("  ", StringComparison.Ordinal));
            if (kept)
                Line(".nf");
            foreach (var line in lines)
                Line(Begin(Escape(kept ? line : line.Trim())));
            if (kept)
                Line(".fi");
        }

        return this;
    }

    public override string ToString() => page.ToString();

    private Roff Line(string line)
    {
        page.Append(line).Append('\n');
        return this;
    }

    // A line that begins with one of these would be a request.
    private static string Begin(string line) => line.Length > 0 && line[0] is '.' or '\'' ? "\\&" + line : line.Length == 0 ? "\\&" : line;

    /// <summary>ASCII alone: what else there is goes by its code point, whatever the formatter takes its input for (groff_char(7)).</summary>
    internal static string Escape(string text)
    {
        var escaped = new StringBuilder(text.Length);
        foreach (var rune in text.EnumerateRunes())
            escaped.Append(rune.Value switch
            {
                '\\' => "\\e",
                '-' => "\\-",
                '\'' => "\\(aq",
                '"' => "\\(dq",
                > 0x7F => $"\\[u{rune.Value:X4}]",
                _ => rune.ToString(),
            });
        return escaped.ToString();
    }
}
