using System.Net;
using System.Net.Sockets;
using Xunit;

namespace Evenkeel.EndToEnd.Raid;

/// <summary>STARTTLS as the commands serve it, with libnbd (gnutls) and ourselves as clients: by certificate, or not at all.</summary>
[Trait("Peer", "libnbd"), Trait("Machine", "shared"), Trait("Turn", "1")]
public sealed class TlsTests : IAsyncLifetime
{
    private readonly MemberFiles _files = new(3, 16 << 20);
    private readonly int _port = FreePort();

    private string Run => "EVENKEEL_RAID_RUN=" + _files.Beside("run");

    public ValueTask InitializeAsync() => default;

    public async ValueTask DisposeAsync()
    {
        await TryAsync("raid", "stop", "outer");
        await TryAsync("raid", "stop", "vol");
        _files.Dispose();
    }

    [Fact]
    public async Task Serve_ToOneName_LetsThatOneInAlone()
    {
        using var authority = new Authority(_files.Beside("tls"));
        var (server, friend, stranger) = (authority.Issue("server"), authority.Issue("friend"), authority.Issue("stranger"));
        using var others = new Authority(_files.Beside("other"), "another");
        var elsewhere = others.Issue("friend");
        await RunAsync(["raid", "create", "--level", "1", "--name", "vol", "--assume-clean", _files.Paths[0], _files.Paths[1]]);
        await RunAsync(["raid", "assemble", "--port", $"{_port}", .. Tls(server), "--allow", "friend", _files.Paths[0], _files.Paths[1]]);

        var seen = await Tool.RunAsync("nbdinfo", Uri(friend));
        Assert.Contains("with TLS", seen, StringComparison.Ordinal);
        Assert.Contains("export=\"vol\"", seen, StringComparison.Ordinal);
        Assert.NotEqual(0, (await Tool.TryAsync("nbdinfo", Uri(stranger))).Code);
        Assert.NotEqual(0, (await Tool.TryAsync("nbdinfo", Uri(elsewhere))).Code);
        Assert.NotEqual(0, (await Tool.TryAsync("nbdinfo", $"nbd://localhost:{_port}/vol")).Code);
        var (input, output) = (_files.Beside("in"), _files.Beside("out"));
        var content = new byte[4 << 20];
        new Random(8).NextBytes(content);
        await File.WriteAllBytesAsync(input, content, TestContext.Current.CancellationToken);
        await Tool.RunAsync("nbdcopy", "--flush", input, Uri(friend));
        await Tool.RunAsync("nbdcopy", Uri(friend), output);
        Assert.True((await File.ReadAllBytesAsync(output, TestContext.Current.CancellationToken)).AsSpan(0, content.Length).SequenceEqual(content));

        // The same export as a member of another array: our client, with a certificate of its own. It is not empty any more.
        await RunAsync(["raid", "create", "--level", "1", "--name", "outer", "--assume-clean", "--force", .. Tls(friend), _files.Paths[2], $"nbds://localhost:{_port}/vol"]);
        var uri = (await RunAsync(["raid", "assemble", .. Tls(friend), _files.Paths[2], $"nbds://localhost:{_port}/vol"])).Trim();
        Assert.StartsWith("nbds+unix://", uri, StringComparison.Ordinal);
        Assert.Contains("no such export", (await TryAsync(["raid", "examine", .. Tls(stranger), $"nbds://localhost:{_port}/vol"])).Output, StringComparison.Ordinal);
    }

    private static string[] Tls(string place) =>
        ["--tls-cert", Path.Combine(place, "client-cert.pem"), "--tls-key", Path.Combine(place, "client-key.pem"), "--tls-ca", Path.Combine(place, "ca-cert.pem")];

    private string Uri(string place) => $"nbds://localhost:{_port}/vol?tls-certificates={place}";

    private static int FreePort()
    {
        using var probe = new TcpListener(IPAddress.Loopback, 0);
        probe.Start();
        return ((IPEndPoint)probe.LocalEndpoint).Port;
    }

    private static string Program => Path.Combine(AppContext.BaseDirectory, "evenkeel");

    private Task<string> RunAsync(params string[] arguments) => Tool.RunAsync("env", [Run, Program, .. arguments]);

    private Task<(int Code, string Output)> TryAsync(params string[] arguments) => Tool.TryAsync("env", [Run, Program, .. arguments]);
}
