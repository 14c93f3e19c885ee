using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Evenkeel.Raid.Nbd;
using Evenkeel.Tests.Raid.Array;
using Xunit;

namespace Evenkeel.Tests.Raid.Nbd;

public sealed class NbdTests
{
    [Fact]
    public async Task Client_AgainstOurServer_ReadsWhatItWrote()
    {
        await using var server = Serve(out var disk);
        await using var client = await NbdClient.ConnectAsync(Address(server, "disk"));
        Assert.Equal(disk.Length, client.Length);
        var random = new Random(1);
        var writes = Enumerable.Range(0, 40).Select(i => (At: i * 8192L, Bytes: RandomBytes(random, random.Next(1, 17) * 512))).ToList();
        await Task.WhenAll(writes.Select(write => client.WriteAsync(write.At, write.Bytes).AsTask()));
        await client.FlushAsync();
        await Task.WhenAll(writes.Select(async write =>
        {
            var read = new byte[write.Bytes.Length];
            await client.ReadAsync(write.At, read);
            Assert.Equal(write.Bytes, read);
        }));
    }

    [Fact]
    public async Task Read_DeviceFails_ReportsTheErrorAndKeepsTheConnection()
    {
        await using var server = Serve(out var disk);
        disk.FailsRead = sector => sector == 8;
        await using var client = await NbdClient.ConnectAsync(Address(server, "disk"));
        await Assert.ThrowsAsync<IOException>(async () => await client.ReadAsync(4096, new byte[512]));
        await client.ReadAsync(0, new byte[512]);
        await Assert.ThrowsAsync<IOException>(async () => await client.ReadAsync(disk.Length, new byte[512]));
        await Assert.ThrowsAsync<IOException>(async () => await client.ReadAsync(100, new byte[512]));
    }

    [Fact]
    public async Task Connect_UnknownExport_IsRefusedWithWords()
    {
        await using var server = Serve(out _);
        var refusal = await Assert.ThrowsAsync<IOException>(() => NbdClient.ConnectAsync(Address(server, "nothing")));
        Assert.Contains("no such export", refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Flush_ServerLostBetween_FailsOnceBecauseWritesMayBeLost()
    {
        var server = Serve(out var disk);
        var address = Address(server, "disk");
        await using var client = await NbdClient.ConnectAsync(address);
        await client.WriteAsync(0, new byte[512]);
        var endpoint = server.Endpoint;
        await server.DisposeAsync();
        await Assert.ThrowsAsync<IOException>(async () => await client.ReadAsync(0, new byte[512]));
        await using var again = NbdServer.Start(endpoint, [new DeviceExport(disk, "disk")]);
        await client.ReadAsync(0, new byte[512]);
        await Assert.ThrowsAsync<IOException>(async () => await client.FlushAsync());
        await client.FlushAsync();
    }

    [Fact]
    public async Task Request_SilentServer_FailsAtTheDeadline()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var options = new NbdClientOptions { Deadline = TimeSpan.FromMilliseconds(50) };
        await Assert.ThrowsAsync<IOException>(() => NbdClient.ConnectAsync($"nbd://127.0.0.1:{((IPEndPoint)listener.LocalEndpoint).Port}/", options));
    }

    [Fact]
    public async Task Tls_Required_PlainClientsAreRefusedAndExportsGoByCertificate()
    {
        using var serverKey = Certificate("CN=server");
        using var friend = Certificate("CN=friend");
        using var stranger = Certificate("CN=stranger");
        var options = new NbdServerOptions
        {
            Tls = new SslServerAuthenticationOptions
            {
                ServerCertificate = serverKey, ClientCertificateRequired = true, RemoteCertificateValidationCallback = (_, certificate, _, _) => certificate is not null,
            },
            Authorise = (certificate, _) => certificate?.Subject == "CN=friend",
        };
        await using var server = Serve(out _, options);
        await Assert.ThrowsAsync<IOException>(() => NbdClient.ConnectAsync(Address(server, "disk")));
        var secure = Address(server, "disk").Replace("nbd://", "nbds://", StringComparison.Ordinal);
        await using var client = await NbdClient.ConnectAsync(secure, With(friend));
        await client.WriteAsync(0, new byte[4096]);
        var refusal = await Assert.ThrowsAsync<IOException>(() => NbdClient.ConnectAsync(secure, With(stranger)));
        Assert.Contains("no such export", refusal.Message, StringComparison.Ordinal);

        NbdClientOptions With(X509Certificate2 own) => new()
        {
            Tls = new SslClientAuthenticationOptions
            {
                TargetHost = "server", ClientCertificates = [own],
                RemoteCertificateValidationCallback = (_, certificate, _, _) => certificate!.GetCertHashString() == serverKey.GetCertHashString(),
            },
        };
    }

    [Fact]
    public async Task Server_RandomBytes_DropsThatClientAndServesTheNext()
    {
        await using var server = Serve(out _);
        var random = new Random(42);
        for (var i = 0; i < 200; i++)
        {
            using var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
            await socket.ConnectAsync(server.Endpoint);
            // A right beginning lets the noise reach the options.
            byte[] start = i % 2 == 0 ? [0, 0, 0, 3, .. "IHAVEOPT"u8, 0, 0, 0, (byte)random.Next(1, 12), 0, 0, 0, (byte)random.Next(40)] : [];
            try
            {
                await socket.SendAsync((byte[])[.. start, .. RandomBytes(random, random.Next(1, 200))]);
                socket.Shutdown(SocketShutdown.Send);
            }
            catch (SocketException)
            {
                // Dropped while it was still talking.
            }
        }

        await using var client = await NbdClient.ConnectAsync(Address(server, "disk"));
        await client.ReadAsync(0, new byte[512]);
    }

    [Theory]
    [InlineData("nbd://host/vol", "vol", false)]
    [InlineData("nbds://[::1]:99/", "", true)]
    [InlineData("nbd+unix:///a%20b?socket=/run/x", "a b", false)]
    public void Parse_Uris_AreUnderstood(string uri, string export, bool secure)
    {
        var address = NbdAddress.Parse(uri);
        Assert.Equal((export, secure), (address.Export, address.Secure));
    }

    [Theory]
    [InlineData("http://host/")]
    [InlineData("nbd+unix:///vol")]
    [InlineData("nonsense")]
    public void Parse_OtherUris_AreRefused(string uri) => Assert.Throws<FormatException>(() => NbdAddress.Parse(uri));

    private static NbdServer Serve(out SimulatedDisk disk, NbdServerOptions? options = null)
    {
        disk = new SimulatedDisk(new PowerSupply(1), Array.Bench.DiskBytes, "disk");
        return NbdServer.Start(new IPEndPoint(IPAddress.Loopback, 0), [new LockedExport(new DeviceExport(disk, "disk")), new DeviceExport(disk, "other")], options);
    }

    private static string Address(NbdServer server, string export) => $"nbd://127.0.0.1:{((IPEndPoint)server.Endpoint).Port}/{export}";

    private static byte[] RandomBytes(Random random, int count)
    {
        var bytes = new byte[count];
        random.NextBytes(bytes);
        return bytes;
    }

    private static X509Certificate2 Certificate(string name)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using var made = new CertificateRequest(name, key, HashAlgorithmName.SHA256).CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(1));
        return X509CertificateLoader.LoadPkcs12(made.Export(X509ContentType.Pkcs12), null);
    }

    // The simulated disk is for one caller at a time; a server calls from many threads.
    private sealed class LockedExport(INbdExport inner) : INbdExport
    {
        private readonly Lock _gate = new();

        public string Name => inner.Name;

        public string Description => inner.Description;

        public long Length => inner.Length;

        public bool IsReadOnly => inner.IsReadOnly;

        public bool FlushCoversAllConnections => true;

        public bool CanTrim => false;

        public ValueTask ReadAsync(long offset, Memory<byte> buffer)
        {
            lock (_gate) return inner.ReadAsync(offset, buffer);
        }

        public ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer)
        {
            lock (_gate) return inner.WriteAsync(offset, buffer);
        }

        public ValueTask FlushAsync()
        {
            lock (_gate) return inner.FlushAsync();
        }

        public ValueTask TrimAsync(long offset, long length) => inner.TrimAsync(offset, length);
    }
}
