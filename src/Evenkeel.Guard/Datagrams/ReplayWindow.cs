namespace Evenkeel.Guard.Datagrams;

/// <summary>
/// Takes each counter of one sender's session once (RFC 4303, section 3.4.3): newer ones always, older ones within 128 of
/// the newest unless seen, which is four seconds at the default beat over two links.
/// </summary>
internal sealed class ReplayWindow
{
    private const int Width = 128;
    private ulong _newest;
    private UInt128 _seen;

    /// <summary>True the first time; call it only for authenticated datagrams. Counters begin with 1.</summary>
    public bool TryTake(ulong counter)
    {
        if (counter == 0) return false;
        if (counter > _newest)
        {
            var ahead = counter - _newest;
            _seen = ahead >= Width ? UInt128.One : (_seen << (int)ahead) | UInt128.One;
            _newest = counter;
            return true;
        }
        var behind = _newest - counter;
        if (behind >= Width) return false;
        var bit = UInt128.One << (int)behind;
        if ((_seen & bit) != 0) return false;
        _seen |= bit;
        return true;
    }
}
