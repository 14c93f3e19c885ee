using System.Net;
using System.Net.Sockets;

namespace Evenkeel.Raid.Nbd;

/// <summary>Where an export is: <c>nbd://host[:port]/export</c>, <c>nbds://…</c> with TLS, <c>nbd+unix:///export?socket=/path</c>.</summary>
/// <param name="Endpoint">Host and port, or a Unix socket.</param>
/// <param name="Export">The export's name, often empty.</param>
/// <param name="Secure">Whether TLS is demanded.</param>
/// <param name="Host">The name that the server's certificate must bear.</param>
public sealed record NbdAddress(EndPoint Endpoint, string Export, bool Secure, string Host)
{
    /// <summary>The port registered for NBD.</summary>
    public const int DefaultPort = 10809;

    /// <summary>Reads a URI (github.com/NetworkBlockDevice/nbd, doc/uri.md).</summary>
    /// <exception cref="FormatException">It is none of these forms.</exception>
    public static NbdAddress Parse(string uri)
    {
        if (!Uri.TryCreate(uri, UriKind.Absolute, out var parsed)) throw new FormatException($"'{uri}' is no NBD URI.");
        var export = Uri.UnescapeDataString(parsed.AbsolutePath.TrimStart('/'));
        if (parsed.Scheme is "nbd+unix" or "nbds+unix")
        {
            var socket = parsed.Query.TrimStart('?').Split('&').FirstOrDefault(part => part.StartsWith("socket=", StringComparison.Ordinal))
                ?? throw new FormatException($"'{uri}' lacks ?socket=/path.");
            return new NbdAddress(new UnixDomainSocketEndPoint(Uri.UnescapeDataString(socket[7..])), export, parsed.Scheme == "nbds+unix", "localhost");
        }

        if (parsed.Scheme is not ("nbd" or "nbds") || parsed.Host.Length == 0) throw new FormatException($"'{uri}' is no NBD URI: nbd://host/export is.");
        var port = parsed.Port > 0 ? parsed.Port : DefaultPort;
        EndPoint endpoint = IPAddress.TryParse(parsed.Host.Trim('[', ']'), out var address) ? new IPEndPoint(address, port) : new DnsEndPoint(parsed.Host, port);
        return new NbdAddress(endpoint, export, parsed.Scheme == "nbds", parsed.Host);
    }
}
