using System.Security.Cryptography;
using Etcdserverpb;
using Evenkeel.Core.Loop.Ports;
using Evenkeel.PrivateConnection.Certificates;
using Grpc.Core;

namespace Evenkeel.PrivateConnection.Store.Etcd;

/// <summary>
/// A copy of a member's whole database in one file, as <c>etcdctl snapshot save</c> writes it: the pages (a multiple of 512 bytes)
/// and the SHA-256 over them (32 bytes). Taken from a running member, at one revision.
/// </summary>
public static class EtcdSnapshot
{
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(5);
    private const int PageUnit = 512;

    /// <summary>Writes the file (0600); it is there whole and verified, or not at all.</summary>
    /// <exception cref="StoreUnavailableException">The member did not send it all.</exception>
    /// <exception cref="IOException">The file cannot be written.</exception>
    public static async Task TakeAsync(EtcdEndpoint member, NodeCertificate? certificate, string file, CancellationToken cancellation)
    {
        using var link = new EtcdMemberLink(member, certificate, _ => { });
        var fresh = file + ".new";
        File.Delete(fresh);
        try
        {
            using (var stream = new FileStream(fresh, new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write, UnixCreateMode = PrivateFile.OwnerOnly }))
            {
                using var call = link.Maintenance.Snapshot(new SnapshotRequest(), deadline: DateTime.UtcNow + Limit, cancellationToken: cancellation);
                while (await call.ResponseStream.MoveNext(cancellation).ConfigureAwait(false))
                {
                    await stream.WriteAsync(call.ResponseStream.Current.Blob.Memory, cancellation).ConfigureAwait(false);
                }

                stream.Flush(flushToDisk: true);
            }

            if (WhyNot(fresh) is { } reason)
            {
                throw new StoreUnavailableException($"etcd at {member.Address} sent a snapshot that is none: {reason}");
            }

            File.Move(fresh, file, overwrite: true);
        }
        catch (RpcException exception)
        {
            cancellation.ThrowIfCancellationRequested();
            throw new StoreUnavailableException($"etcd at {member.Address} gave no snapshot: {EtcdFailures.Describe(exception)}", exception);
        }
        finally
        {
            File.Delete(fresh);
        }
    }

    /// <summary>Null when the file is a whole snapshot with the right sum; else why not, in words.</summary>
    /// <exception cref="IOException">It cannot be read.</exception>
    public static string? WhyNot(string file)
    {
        using var stream = File.OpenRead(file);
        var pages = stream.Length - SHA256.HashSizeInBytes;
        if (pages <= 0 || pages % PageUnit != 0)
        {
            return $"{stream.Length} bytes are no snapshot of etcd, or it was cut short";
        }

        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var buffer = new byte[1 << 20];
        while (pages > 0)
        {
            var read = stream.Read(buffer, 0, (int)Math.Min(buffer.Length, pages));
            if (read == 0)
            {
                return "it ended early";
            }

            hash.AppendData(buffer, 0, read);
            pages -= read;
        }

        var sum = new byte[SHA256.HashSizeInBytes];
        stream.ReadExactly(sum);
        return sum.AsSpan().SequenceEqual(hash.GetHashAndReset()) ? null : "its SHA-256 is another one than was written with it: it is damaged";
    }
}
