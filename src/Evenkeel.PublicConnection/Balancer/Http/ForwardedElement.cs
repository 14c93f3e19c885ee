using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Evenkeel.PublicConnection.Balancer.Http;

/// <summary>One hop as the <c>Forwarded</c> header writes it (RFC 7239, 4), and how that and <c>X-Forwarded-For</c> become each other.</summary>
internal static class ForwardedElement
{
    /// <summary>An address that is not known is <c>unknown</c> (6.2), an IPv6 one stands in brackets and quotes (6.1).</summary>
    public static string Write(IPAddress? address, string scheme, string? host)
    {
        var made = new StringBuilder("for=", 64).Append(Node(address)).Append(";proto=").Append(scheme);
        if (!string.IsNullOrEmpty(host)) made.Append(";host=").Append(Quoted(host));
        return made.ToString();
    }

    /// <summary>One element for each address of an <c>X-Forwarded-For</c>; what is no address is <c>unknown</c>.</summary>
    public static string OfChain(string chain) =>
        string.Join(", ", chain.Split(',').Select(one => "for=" + Node(IPAddress.TryParse(one.Trim(), out var address) ? address : null)));

    /// <summary>The <c>for</c> of each element, as <c>X-Forwarded-For</c> writes it: the address alone, without brackets and port.</summary>
    public static string ChainOf(string elements) => string.Join(", ", Split(elements, ',').Select(AddressOf));

    private static string AddressOf(string element)
    {
        foreach (var pair in Split(element, ';'))
        {
            var text = pair.Trim();
            if (!text.StartsWith("for=", StringComparison.OrdinalIgnoreCase)) continue;
            var node = text[4..].Trim('"');
            if (IPAddress.TryParse(node, out var plain)) return plain.ToString();
            // "[2001:db8::1]:4711" and "192.0.2.43:47011".
            return IPEndPoint.TryParse(node, out var point) ? point.Address.ToString() : "unknown";
        }
        return "unknown";
    }

    // A separator within quotes separates nothing.
    private static List<string> Split(string text, char separator)
    {
        List<string> parts = [];
        var (start, quoted) = (0, false);
        for (var i = 0; i < text.Length; i++)
        {
            if (quoted && text[i] == '\\') i++;
            else if (text[i] == '"') quoted = !quoted;
            else if (text[i] == separator && !quoted)
            {
                parts.Add(text[start..i]);
                start = i + 1;
            }
        }
        parts.Add(text[start..]);
        return parts;
    }

    private static string Node(IPAddress? address) => address switch
    {
        null => "unknown",
        { AddressFamily: AddressFamily.InterNetworkV6 } => $"\"[{address}]\"",
        _ => address.ToString(),
    };

    private static string Quoted(string text) => FieldName.IsOne(text) ? text : $"\"{text.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal)}\"";
}
