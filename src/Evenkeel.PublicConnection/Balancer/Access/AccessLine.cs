using System.Globalization;
using System.Text;
using System.Text.Json;
using Evenkeel.Core.Model;

namespace Evenkeel.PublicConnection.Balancer.Access;

/// <summary>A request that has ended. Whatever the client sent is escaped: a line is one line, and its fields stay its fields.</summary>
internal sealed record AccessLine(
    DateTimeOffset Time, string? Client, string Method, string Scheme, string? Host, string Target, string Protocol, int Status, long Bytes,
    string? Referer, string? Agent, TimeSpan Took, string Service, string? Node, int Attempts)
{
    public void Write(Stream into, AccessLogFormat format)
    {
        if (format == AccessLogFormat.Json) WriteJson(into);
        else into.Write(Encoding.UTF8.GetBytes(Combined()));
        into.WriteByte((byte)'\n');
    }

    private string Combined() => string.Create(CultureInfo.InvariantCulture,
        $"{Client ?? "-"} - - [{Time:dd/MMM/yyyy:HH:mm:ss} +0000] \"{Quoted(Method)} {Quoted(Target)} {Protocol}\" {Status} {(Bytes == 0 ? "-" : Bytes)} \"{Quoted(Referer)}\" \"{Quoted(Agent)}\"");

    private void WriteJson(Stream into)
    {
        using var json = new Utf8JsonWriter(into);
        json.WriteStartObject();
        json.WriteString("time", Time);
        json.WriteString("client", Client);
        json.WriteString("method", Method);
        json.WriteString("scheme", Scheme);
        json.WriteString("host", Host);
        json.WriteString("target", Target);
        json.WriteString("protocol", Protocol);
        json.WriteNumber("status", Status);
        json.WriteNumber("bytes", Bytes);
        json.WriteString("referer", Decoded(Referer));
        json.WriteString("agent", Decoded(Agent));
        json.WriteNumber("took_ms", Math.Round(Took.TotalMilliseconds, 3));
        json.WriteString("service", Service);
        json.WriteString("node", Node);
        json.WriteNumber("attempts", Attempts);
        json.WriteEndObject();
    }

    private static string? Decoded(string? text) => text is null ? null : Encoding.UTF8.GetString(Encoding.Latin1.GetBytes(text));

    // As Apache does: \" and \\ by a backslash, all that is not printable ASCII as \xHH. The door reads each byte as one character.
    private static string Quoted(string? text)
    {
        if (string.IsNullOrEmpty(text)) return "-";
        var made = new StringBuilder(text.Length);
        foreach (var one in Encoding.Latin1.GetBytes(text))
            _ = one switch
            {
                (byte)'"' or (byte)'\\' => made.Append('\\').Append((char)one),
                < 0x20 or >= 0x7f => made.Append(CultureInfo.InvariantCulture, $"\\x{one:x2}"),
                _ => made.Append((char)one),
            };
        return made.ToString();
    }
}
