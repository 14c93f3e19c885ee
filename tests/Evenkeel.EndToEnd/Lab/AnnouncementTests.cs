using System.Net;
using Evenkeel.Agent.Local;
using Evenkeel.Guard.Enforcement.VirtualIp;
using Xunit;

namespace Evenkeel.EndToEnd.Lab;

/// <summary>
/// When a link was away, what is behind it may have forgotten where the virtual IPs are: their owner says so again, unasked, by
/// gratuitous ARP (RFC 5227) and unsolicited neighbour advertisements (RFC 4861). Heard on the wire, from among the clients.
/// </summary>
[Collection(DualStackCollection.Name)]
[Trait("needs", "root")]
[Trait("Turn", "1")]
public sealed class AnnouncementTests(DualStackLab lab, ITestOutputHelper output)
{
    // The longest pause of a new owner's announcements is 3 s; from then on there is one in 30 s.
    private static readonly TimeSpan quiet = TimeSpan.FromSeconds(4);
    // Within seconds: not those of every 30.
    private const int Several = 4;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public Task Owner_PublicLinkAwayForAMoment_AnnouncesBothFamiliesAgain() => lab.PlayAsync(async () =>
    {
        using var ears = new Ears(lab.Client, IPAddress.Parse(DualStackLab.Four), IPAddress.Parse(DualStackLab.Six));
        var deadline = NamespaceLab.Deadline();
        while (ears.Silence < quiet) await Task.Delay(100, deadline);
        // Whoever took it over was heard.
        var owner = await lab.OwnerAsync("four", _ => true);
        ears.HearOnly(await lab.HardwareOf(owner));
        // It is back before anybody has looked.
        await lab.Cluster.Network.CutAsync(owner, LabLink.Public, Token);
        await lab.Cluster.Network.HealAsync(owner, LabLink.Public, Token);
        var began = TimeProvider.System.GetTimestamp();
        while (ears.Heard is var (four, six) && (four < Several || six < Several)) await Task.Delay(10, deadline);
        var took = TimeProvider.System.GetElapsedTime(began);
        output.WriteLine($"{ears.Heard} announcements {took.TotalMilliseconds:F0} ms after the heal");
        Assert.InRange(took, TimeSpan.Zero, TimeSpan.FromSeconds(10));
        Assert.Equal(owner, await lab.OwnerAsync("four"));
    });

    /// <summary>Counts what is announced in the clients' network, of one address of each family: by anybody, then by one machine.</summary>
    private sealed class Ears : IDisposable
    {
        private readonly ArpSocket arp;
        private readonly NeighbourSocket neighbours;
        private readonly byte[] four, six;
        private byte[]? hardware;
        private readonly CancellationTokenSource ending = new();
        private readonly Lock gate = new();
        private readonly Task work;
        private (int Four, int Six) heard;
        private long last = TimeProvider.System.GetTimestamp();

        public Ears(string space, IPAddress four, IPAddress six)
        {
            (this.four, this.six) = (four.GetAddressBytes(), six.GetAddressBytes());
            (arp, neighbours) = NetworkSpace.In(space, () => (ArpSocket.TryOpen(out _)!, NeighbourSocket.TryOpen(out _)!));
            work = ListenAsync();
        }

        public (int Four, int Six) Heard
        {
            get { lock (gate) return heard; }
        }

        /// <summary>Since the last announcement, or since it listens.</summary>
        public TimeSpan Silence
        {
            get { lock (gate) return TimeProvider.System.GetElapsedTime(last); }
        }

        /// <summary>From now on one machine's alone are counted, from the first.</summary>
        public void HearOnly(string machine)
        {
            lock (gate) (hardware, heard) = (Convert.FromHexString(machine.Replace(":", "", StringComparison.Ordinal)), default);
        }

        public void Dispose()
        {
            ending.Cancel();
            work.Wait();
            arp.Dispose();
            neighbours.Dispose();
            ending.Dispose();
        }

        private async Task ListenAsync()
        {
            var buffer = new byte[1600];
            while (!ending.IsCancellationRequested)
            {
                for (int count; (count = arp.Receive(buffer, out _)) >= 0;)
                    // Sender and target are one address: an announcement, not an answer. Each is told in two forms; one of them counts.
                    if (ArpPacket.TryRead(buffer.AsSpan(0, count), out var from, out var sender) && buffer[21] == 1 && sender.SequenceEqual(four)
                        && buffer.AsSpan(38, 4).SequenceEqual(four)) Count(from, isSix: false);
                for (int count; (count = neighbours.Receive(buffer, out _)) >= 0;)
                    // Without the flag of one that was asked for.
                    if (NeighbourPacket.TryReadAdvertisement(buffer.AsSpan(0, count), out var target, out var from) && (buffer[4] & 0x40) == 0 && target.SequenceEqual(six))
                        Count(from, isSix: true);
                await Task.Delay(5);
            }
        }

        private void Count(ReadOnlySpan<byte> from, bool isSix)
        {
            lock (gate)
            {
                if (hardware is not null && !from.SequenceEqual(hardware)) return;
                heard = isSix ? (heard.Four, heard.Six + 1) : (heard.Four + 1, heard.Six);
                last = TimeProvider.System.GetTimestamp();
            }
        }
    }
}
