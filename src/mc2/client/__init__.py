"""What a party runs at home: seal, propose, review, approve, grant, fetch, verify, open."""
