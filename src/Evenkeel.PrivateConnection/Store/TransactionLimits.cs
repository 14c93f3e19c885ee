using System.Text;
using Evenkeel.Core.Loop.Ports;

namespace Evenkeel.PrivateConnection.Store;

/// <summary>The limits that the port states, the same in every implementation: what one store refuses, all refuse.</summary>
internal static class TransactionLimits
{
    public const int Most = 128;
    public const int LargestBytes = 1 << 20;

    /// <summary>Null when the transaction is within the limits; else the reason, and nothing was asked of the store.</summary>
    public static string? WhyNot(Transaction transaction)
    {
        if (transaction.Compares.Count > Most || transaction.Writes.Count > Most)
        {
            return $"a transaction holds at most {Most} compares and {Most} writes; this one {transaction.Compares.Count} and {transaction.Writes.Count}";
        }

        var written = new HashSet<string>(StringComparer.Ordinal);
        long bytes = 0;
        foreach (var compare in transaction.Compares)
        {
            bytes += Encoding.UTF8.GetByteCount(compare.Key);
            if (compare.Key.Length == 0)
            {
                return "a compare without a key";
            }
        }

        foreach (var write in transaction.Writes)
        {
            bytes += Encoding.UTF8.GetByteCount(write.Key) + (write.Value?.Length ?? 0);
            if (write.Key.Length == 0)
            {
                return "a write without a key";
            }

            if (!written.Add(write.Key))
            {
                return $"the key {write.Key} is written twice in one transaction";
            }
        }

        return bytes > LargestBytes ? $"a transaction holds at most {LargestBytes} bytes; this one {bytes}" : null;
    }
}
