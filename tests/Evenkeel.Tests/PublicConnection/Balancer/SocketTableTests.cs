using System.Net;
using System.Net.Sockets;
using Evenkeel.PublicConnection.Balancer.Http;
using Xunit;

namespace Evenkeel.Tests.PublicConnection.Balancer;

public sealed class SocketTableTests
{
    /// <summary>By either way to the kernel's books.</summary>
    [Theory]
    [InlineData("127.0.0.1", false)]
    [InlineData("127.0.0.1", true)]
    [InlineData("::1", false)]
    [InlineData("::1", true)]
    public async Task HasClients_UntilTheirConnectionIsOverAsTheKernelHasIt(string at, bool byText)
    {
        if (!OperatingSystem.IsLinux()) return;
        var (listening, _) = await ListenSocket.OpenAsync(new IPEndPoint(IPAddress.Parse(at), 0), TimeSpan.Zero, CancellationToken.None);
        using var socket = listening!;
        var address = (IPEndPoint)socket.LocalEndPoint!;
        bool HasClients() => byText ? SocketTable.Read(address) : SocketTable.Ask(address) ?? throw new InvalidOperationException("the kernel does not say");
        Assert.False(HasClients());
        using var client = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        await client.ConnectAsync(address, TestContext.Current.CancellationToken);
        // In the queue, then taken from it and in nobody's books.
        Assert.True(HasClients());
        using var accepted = await socket.AcceptAsync(TestContext.Current.CancellationToken);
        Assert.Equal(0, ListenSocket.Queued(socket));
        Assert.True(HasClients());
        accepted.Shutdown(SocketShutdown.Send);
        // Once the client's kernel has confirmed the end, and with it all before it.
        Assert.True(SpinWait.SpinUntil(() => !HasClients(), 5000));
    }

    [Fact]
    public async Task Ask_AnotherAddressOfThePort_IsNotMeant()
    {
        if (!OperatingSystem.IsLinux()) return;
        var (listening, _) = await ListenSocket.OpenAsync(new IPEndPoint(IPAddress.Parse("127.0.0.2"), 0), TimeSpan.Zero, CancellationToken.None);
        using var socket = listening!;
        var address = (IPEndPoint)socket.LocalEndPoint!;
        using var client = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await client.ConnectAsync(address, TestContext.Current.CancellationToken);
        Assert.False(SocketTable.Ask(new IPEndPoint(IPAddress.Parse("127.0.0.3"), address.Port)));
        Assert.True(SocketTable.Ask(address));
    }
}
