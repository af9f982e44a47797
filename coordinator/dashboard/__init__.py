"""The staff's pages and the participants' sign-in page, drawn in the browser from the REST API."""
