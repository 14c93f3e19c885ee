using System.Buffers;
using System.Globalization;
using System.Text;

namespace Evenkeel.Backup.Snapshots;

/// <summary>
/// Text as Go writes it: <c>strconv.Quote</c> for names (so that any bytes survive JSON) and <c>encoding/json</c> for strings.
/// Tree blobs are named by their hash, so a byte that differs from restic's is a tree stored twice.
/// </summary>
internal static class GoText
{
    /// <summary>The inside of Go's <c>strconv.Quote</c>; null when the name needs no quoting (the usual case).</summary>
    public static byte[]? Quote(ReadOnlySpan<byte> name)
    {
        if (!name.ContainsAnyExceptInRange((byte)0x20, (byte)0x7e) && !name.ContainsAny((byte)'"', (byte)'\\'))
        {
            return null;
        }
        var output = new ArrayBufferWriter<byte>(name.Length * 2);
        while (!name.IsEmpty)
        {
            var status = Rune.DecodeFromUtf8(name, out var rune, out var length);
            if (status != OperationStatus.Done)
            {
                // Go gives up one byte at a time.
                output.Write(Encoding.ASCII.GetBytes($"\\x{name[0]:x2}"));
                name = name[1..];
                continue;
            }
            if (Escape(rune) is { } escape)
            {
                output.Write(Encoding.ASCII.GetBytes(escape));
            }
            else
            {
                output.Write(name[..length]);
            }
            name = name[length..];
        }
        return output.WrittenSpan.ToArray();
    }

    private static string? Escape(Rune rune) => rune.Value switch
    {
        '"' => "\\\"",
        '\\' => "\\\\",
        7 => "\\a",
        8 => "\\b",
        12 => "\\f",
        10 => "\\n",
        13 => "\\r",
        9 => "\\t",
        11 => "\\v",
        < 0x20 or 0x7f => $"\\x{rune.Value:x2}",
        _ when IsPrint(rune) => null,
        < 0x10000 => $"\\u{rune.Value:x4}",
        _ => $"\\U{rune.Value:x8}",
    };

    // Go's strconv.IsPrint: letters, marks, numbers, punctuation, symbols, and the ASCII space.
    private static bool IsPrint(Rune rune) => rune.Value == ' ' || Rune.GetUnicodeCategory(rune) is not
        (UnicodeCategory.Control or UnicodeCategory.Format or UnicodeCategory.Surrogate or UnicodeCategory.PrivateUse
        or UnicodeCategory.OtherNotAssigned or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator
        or UnicodeCategory.SpaceSeparator);

    /// <summary>Undoes <see cref="Quote"/>; null when it is no quoted text.</summary>
    public static byte[]? Unquote(ReadOnlySpan<byte> quoted)
    {
        if (!quoted.Contains((byte)'\\'))
        {
            return quoted.ToArray();
        }
        var output = new ArrayBufferWriter<byte>(quoted.Length);
        Span<byte> utf8 = stackalloc byte[4];
        for (var i = 0; i < quoted.Length;)
        {
            if (quoted[i] != '\\')
            {
                output.Write(quoted.Slice(i++, 1));
                continue;
            }
            if (++i >= quoted.Length)
            {
                return null;
            }
            var kind = (char)quoted[i++];
            var digits = kind switch { 'x' => 2, 'u' => 4, 'U' => 8, >= '0' and <= '7' => -1, _ => 0 };
            if (digits > 0)
            {
                if (i + digits > quoted.Length || !uint.TryParse(quoted.Slice(i, digits), NumberStyles.AllowHexSpecifier, null, out var value))
                {
                    return null;
                }
                i += digits;
                if (kind == 'x')
                {
                    output.Write([(byte)value]);
                }
                else if (Rune.TryCreate(value, out var rune))
                {
                    output.Write(utf8[..rune.EncodeToUtf8(utf8)]);
                }
                else
                {
                    return null;
                }
            }
            else
            {
                var plain = "abfnrtv\\\"'".IndexOf(kind, StringComparison.Ordinal);
                if (plain < 0)
                {
                    return null;
                }
                output.Write([(byte)"\a\b\f\n\r\t\v\\\"'"[plain]]);
            }
        }
        return output.WrittenSpan.ToArray();
    }

    /// <summary>Writes bytes as a JSON string the way <c>encoding/json</c> does (Go up to 1.21): &lt;, &gt; and &amp; escaped, invalid UTF-8 replaced.</summary>
    public static void WriteJson(IBufferWriter<byte> output, ReadOnlySpan<byte> utf8)
    {
        output.Write("\""u8);
        while (!utf8.IsEmpty)
        {
            var plain = 0;
            while (plain < utf8.Length && utf8[plain] is >= 0x20 and < 0x80 and not ((byte)'"' or (byte)'\\' or (byte)'<' or (byte)'>' or (byte)'&'))
            {
                plain++;
            }
            if (plain > 0)
            {
                output.Write(utf8[..plain]);
                utf8 = utf8[plain..];
                continue;
            }
            var status = Rune.DecodeFromUtf8(utf8, out var rune, out var length);
            if (status != OperationStatus.Done)
            {
                output.Write("\\ufffd"u8);
                utf8 = utf8[1..];
                continue;
            }
            switch (rune.Value)
            {
                case '"': output.Write("\\\""u8); break;
                case '\\': output.Write("\\\\"u8); break;
                case '\n': output.Write("\\n"u8); break;
                case '\r': output.Write("\\r"u8); break;
                case '\t': output.Write("\\t"u8); break;
                case < 0x20 or '<' or '>' or '&' or 0x2028 or 0x2029:
                    output.Write(Encoding.ASCII.GetBytes($"\\u{rune.Value:x4}"));
                    break;
                default:
                    output.Write(utf8[..length]);
                    break;
            }
            utf8 = utf8[length..];
        }
        output.Write("\""u8);
    }
}
